/**
 * The contract of a backend as a suite that every implementation runs: the laws in the head of `@tracelet/core/Backend`, under a real lane,
 * with each way of failing put between the two. The invariant is the same each time: every event ends up accepted, rejected or kept, exactly
 * one of the three, and what was accepted is there once, in order.
 */
import { assert, it } from "@effect/vitest"
import { Backend, type Batch } from "@tracelet/core/Backend"
import { poison, transient } from "@tracelet/core/BackendError"
import type { BackendStanding } from "@tracelet/core/BackendStanding"
import type { Mark } from "@tracelet/core/Cursor"
import * as Journal from "@tracelet/core/Journal"
import { deliver, type RunDelivery } from "@tracelet/core/Pipeline"
import { RunId } from "@tracelet/core/Run"
import { countOf, runStarted, slice, type RunEvent } from "@tracelet/core/RunEvent"
import type { WriteReport } from "@tracelet/core/WriteReport"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { describe } from "vitest"

export interface Options<R, E> {
  /** Of the backend, for the names of tests. */
  readonly name: string
  /** Built anew for each test. */
  readonly layer: Layer.Layer<Backend | R, E>
  /** The values of the series `loss` as the service has them, by ascending step; left out where it cannot be read. */
  readonly readBack?: (run: RunId) => Effect.Effect<ReadonlyArray<number>, unknown, R>
}

const run = RunId.make("c0ffee".padEnd(32, "0"))
const started = runStarted(run, { time: 1, name: "contract" })
const points = 300
/** Points, and one record of params and of tags each. */
const events = points + 2
/** What the service is made to refuse, where it is. */
const refused = new Set([0, 150, points - 1])

type Write = (batch: Batch, write: Inner) => ReturnType<Inner>
type Inner = (batch: Batch) => Effect.Effect<WriteReport, ReturnType<typeof transient>>

/** The backend with something between it and its lane, and small batches, so that there are several. */
const between = (backend: Backend["Service"], write: Write): Backend["Service"] =>
  Backend.of({
    ...backend,
    capabilities: { ...backend.capabilities, limits: { ...backend.capabilities.limits, points: 50 } },
    open: (open) =>
      Effect.map(backend.open(open), (opened) => ({ ...opened, write: (batch) => write(batch, opened.write) }))
  })

const log = (journal: Journal.Journal["Service"], from = 0) =>
  Effect.scoped(
    Effect.gen(function* () {
      const writer = yield* journal.write({ run, role: "primary" })
      writer.event(started)
      if (from === 0) {
        writer.event({ _tag: "Params", time: 1, params: { lr: 0.1 } })
        writer.event({ _tag: "Tags", time: 1, tags: { stage: "test" } })
      }
      for (let step = from; step < from + points; step++) writer.point("loss", step / 4, step, undefined, 1 + step)
      writer.event({ _tag: "RunFinished", time: 1 + from + points, status: "finished" })
      yield* writer.commit
    })
  )

const begin = (journal: Journal.Journal["Service"], backend: Backend["Service"]) =>
  Effect.gen(function* () {
    const target = { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
    const delivery = yield* deliver(yield* journal.open(run), started, new Map([["service", target]]))
    assert(delivery !== undefined)
    return delivery
  })

/** Looks until it is so: the test's own time-out is the limit. */
const until = ({ backends }: RunDelivery, is: (one: BackendStanding) => boolean) =>
  Effect.map(backends, (all) => all.get("service")).pipe(
    Effect.tap(() => Effect.sleep(5)),
    Effect.repeat({ until: (one) => one !== undefined && is(one) })
  )

const delivered = (journal: Journal.Journal["Service"], backend: Backend["Service"]) =>
  Effect.scoped(Effect.flatMap(begin(journal, backend), (delivery) => until(delivery, ({ state }) => state === "done")))

const markOf = (event: RunEvent, index: number): Mark =>
  event._tag === "PointBatch"
    ? { position: event.positions[index] ?? 0, index: event.indices[index] ?? 0 }
    : { position: event.position, index: 0 }

/** Takes the first half of a batch and says so; all of one that has no halves. */
const half: Write = (batch, write) => {
  const [first, second] = batch.events
  if (first?._tag === "PointBatch" && first.count > 1) {
    const index = first.count >> 1
    const head = [slice(first, 0, index)]
    const taken = write({ ...batch, to: markOf(first, index), events: head, filtered: 0, rejected: 0 })
    return Effect.map(taken, (report) => ({ ...report, retryFrom: { event: 0, index } }))
  }
  if (first === undefined || second === undefined) return write(batch)
  const taken = write({ ...batch, to: markOf(second, 0), events: [first], filtered: 0, rejected: 0 })
  return Effect.map(taken, (report) => ({ ...report, retryFrom: { event: 1, index: 0 } }))
}

const down = transient("service", "down")

/** Before the service hears of it, and after it has done it. */
const failing = (when: (nth: number) => "before" | "after" | undefined): Write => {
  let nth = 0
  return (batch, write) =>
    Effect.suspend(() => {
      const how = when(nth++)
      if (how === "before") return Effect.fail(down)
      return how === "after" ? Effect.andThen(write(batch), Effect.fail(down)) : write(batch)
    })
}

const ways: ReadonlyArray<readonly [string, () => Write]> = [
  ["always accepts", () => (batch, write) => write(batch)],
  ["fails once before it has done anything", () => failing((nth) => (nth === 1 ? "before" : undefined))],
  ["fails once after it has done all", () => failing((nth) => (nth === 1 ? "after" : undefined))],
  ["fails every other time", () => failing((nth) => (["before", undefined, "after", undefined] as const)[nth % 4])],
  ["accepts half", () => half]
]

export const suite = <R, E>({ layer, name, readBack }: Options<R, E>): void => {
  const expected = (from: number, to: number, without: ReadonlySet<number> = new Set()) =>
    readBack === undefined
      ? Effect.void
      : Effect.map(readBack(run), (found) => {
          const steps = Array.from({ length: to - from }, (_, i) => from + i).filter((step) => !without.has(step))
          assert.deepStrictEqual(
            found,
            steps.map((step) => step / 4)
          )
        })
  const provided = <A, E2>(effect: Effect.Effect<A, E2, Backend | R | Journal.Journal>) =>
    effect.pipe(Effect.provide(Journal.layerMemory), Effect.provide(layer, { local: true }))

  describe(`${name} keeps the contract of a backend`, () => {
    for (const [way, make] of ways) {
      it.live(`has each event once and in order when it ${way}`, () =>
        Effect.gen(function* () {
          const journal = yield* Journal.Journal
          yield* log(journal)
          const last = yield* delivered(journal, between(yield* Backend, make()))
          assert.deepInclude(last, { pending: 0, state: "done" })
          assert.strictEqual((last?.delivered ?? 0) + (last?.deadLetter ?? 0), events)
          yield* expected(0, points)
        }).pipe(provided)
      )
    }

    it.live("has all but what it refuses for good, and that is in the dead letter", () =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* log(journal)
        const isRefused = (event: RunEvent) =>
          event._tag === "PointBatch" && event.steps.subarray(0, event.count).some((step) => refused.has(step))
        const refusing: Write = (batch, write) =>
          batch.events.some(isRefused) ? Effect.fail(poison("service", "no")) : write(batch)
        const last = yield* delivered(journal, between(yield* Backend, refusing))
        assert.deepInclude(last, { pending: 0, deadLetter: refused.size, delivered: events - refused.size })
        yield* expected(0, points, refused)
      }).pipe(provided)
    )

    it.live("goes on in another life where it was interrupted while it hung, or in the middle of a write", () =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const backend = yield* Backend
        yield* log(journal)
        for (const isApplied of [false, true]) {
          const reached = Latch.makeUnsafe(false)
          let nth = 0
          const hanging: Write = (batch, write) =>
            nth++ === 1
              ? (isApplied ? Effect.asVoid(write(batch)) : Effect.void).pipe(
                  Effect.tap(() => Effect.sync(() => reached.openUnsafe())),
                  Effect.andThen(Effect.never)
                )
              : write(batch)
          yield* Effect.scoped(Effect.andThen(begin(journal, between(backend, hanging)), reached.await))
        }
        const last = yield* delivered(
          journal,
          between(backend, (batch, write) => write(batch))
        )
        assert.strictEqual((last?.delivered ?? 0) + (last?.deadLetter ?? 0), events)
        yield* expected(0, points)
      }).pipe(provided)
    )

    it.live("is closed again, and is opened again for a late writer", () =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const backend = between(yield* Backend, (batch, write) => write(batch))
        yield* log(journal)
        yield* delivered(journal, backend)
        yield* delivered(journal, backend)
        yield* log(journal, points)
        const last = yield* delivered(journal, backend)
        assert.strictEqual((last?.delivered ?? 0) + (last?.deadLetter ?? 0), events + points)
        yield* expected(0, 2 * points)
      }).pipe(provided)
    )

    it.live("takes, degrades or refuses every value and step, as its capabilities say, and loses none", () =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const backend = yield* Backend
        const { steps, values } = backend.capabilities
        const odd: ReadonlyArray<readonly [value: number, step: number, isTaken: boolean]> = [
          [NaN, 0, values.nan],
          [Infinity, 1, values.infinity],
          [-Infinity, 2, values.infinity],
          [-0, 3, values.negativeZero],
          [1, -1, steps.negative],
          [2, 4, true],
          [3, 4, steps.repeated],
          [4, 1, steps.late]
        ]
        yield* Effect.scoped(
          Effect.gen(function* () {
            const writer = yield* journal.write({ run, role: "primary" })
            writer.event(started)
            for (const [value, step] of odd) writer.point("loss", value, step, undefined, 1)
            writer.event({ _tag: "RunFinished", time: 9, status: "finished" })
            yield* writer.commit
          })
        )
        const last = yield* delivered(journal, backend)
        assert.strictEqual((last?.delivered ?? 0) + (last?.deadLetter ?? 0), odd.length)
        const taken = odd.filter(([, , isTaken]) => isTaken).length
        assert.isAtLeast(last?.delivered ?? 0, taken, "what it says it takes")
      }).pipe(provided)
    )

    it.live("says of each write exactly one of accepted, rejected and to be sent again", () =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* log(journal)
        const reports: Array<readonly [Batch, WriteReport]> = []
        const noting: Write = (batch, write) =>
          Effect.tap(write(batch), (report) => Effect.sync(() => reports.push([batch, report])))
        yield* delivered(journal, between(yield* Backend, noting))
        assert.isNotEmpty(reports)
        for (const [batch, { rejected, retryFrom }] of reports) {
          const places = rejected.map(({ event, index }) => `${event}.${index}`)
          assert.strictEqual(new Set(places).size, places.length)
          for (const { event, index } of rejected) {
            const of = batch.events[event]
            assert.isTrue(of !== undefined && index < Math.max(1, countOf(of)), `${event}.${index} is no event`)
            const isBehind =
              retryFrom !== undefined &&
              (event > retryFrom.event || (event === retryFrom.event && index >= retryFrom.index))
            assert.isFalse(isBehind, "rejected, and to be sent again")
          }
        }
      }).pipe(provided)
    )
  })
}
