import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import { Backend, type Confirmed } from "../src/Backend.ts"
import { BackendError, Throttled, transient, Unauthorised } from "../src/BackendError.ts"
import { noCounts } from "../src/Cursor.ts"
import type { Target } from "../src/Delivery.ts"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { deliver, type Targets } from "../src/Pipeline.ts"
import * as Processor from "../src/Processor.ts"
import * as Route from "../src/Route.ts"
import { RunId } from "../src/Run.ts"
import { countOf, runStarted } from "../src/RunEvent.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import * as Recording from "./support/RecordingBackend.ts"

const run = RunId.make("0123456789abcdef")
const started = runStarted(run, { time: 1, name: "n" })

const target = (backend: Backend["Service"], more: Partial<Target> = {}): Targets =>
  new Map([["service", { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1), ...more }]])

/** A writer that logs `values` and ends. */
const record = (values: ReadonlyArray<number>, writes: Journal.WriterOptions = { run, role: "primary" }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const writer = yield* journal.write(writes)
      writer.event(started)
      for (const value of values) writer.point("loss", value, undefined, undefined, 1)
      writer.event({ _tag: "RunFinished", time: 9, status: "finished" })
      yield* writer.commit
    })
  )

/** Delivers for `seconds` of virtual time, and what the status says then. */
const deliverFor = (targets: Targets, seconds: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const delivery = yield* deliver(yield* journal.open(run), started, targets)
      if (delivery === undefined) return undefined
      yield* delivery.wake
      for (let i = 0; i < seconds * 10; i++) yield* TestClock.adjust(100)
      return (yield* delivery.backends).get("service")
    })
  )

const memory = () => {
  const { storage, files, locks } = makeMemory()
  const layer = Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, storage)))
  return {
    layer,
    files,
    locks,
    cursor: `d/runs/${run}/cursors/service.json`,
    dead: `d/runs/${run}/deadletter/service.ndjson`
  }
}

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** Of what is in use: what is only to be collected does not count. */
const heapBytes = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

describe("a lane", () => {
  it.effect("J7.1, J7.2, J7.5: goes on from its cursor in another life, and sends nothing twice", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { layer, files, cursor } = memory()
      yield* Effect.gen(function* () {
        yield* record([1, 2, 3])
        yield* deliverFor(target(recording.backend), 3)
        assert.deepInclude(JSON.parse(text(files.get(cursor))), { closed: true, remote: "remote-1", epoch: 0 })
        const writes = recording.writes()
        yield* deliverFor(target(recording.backend), 3)
        assert.strictEqual(recording.writes(), writes)
        assert.strictEqual(recording.opened.at(-1)?.remote, "remote-1")
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        recording.points.map(({ value }) => value),
        [1, 2, 3]
      )
    })
  )

  it.effect("J7.9: opens a closed run again for a late writer, and closes it again", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { layer } = memory()
      yield* Effect.gen(function* () {
        yield* record([1])
        yield* deliverFor(target(recording.backend), 3)
        yield* record([2])
        yield* deliverFor(target(recording.backend), 3)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        recording.points.map(({ value }) => value),
        [1, 2]
      )
      assert.strictEqual(recording.closed.length, 2)
    })
  )

  it.effect("J8.5: leaves a run alone that another process delivers", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { layer, locks } = memory()
      locks.add(`d/runs/${run}/delivery.lock`)
      const status = yield* Effect.andThen(record([1]), deliverFor(target(recording.backend), 1)).pipe(
        Effect.provide(layer)
      )
      assert.isUndefined(status)
      assert.strictEqual(recording.opened.length, 0)
    })
  )

  it.effect("waits as long as a service asks, and says so", () =>
    Effect.gen(function* () {
      const reason = new Throttled({ retryAfterSeconds: 60 })
      const recording = Recording.make([
        { fail: new BackendError({ backend: "service", message: "too many requests", reason }) }
      ])
      const { layer } = memory()
      yield* Effect.gen(function* () {
        yield* record([1])
        const waiting = yield* deliverFor(target(recording.backend), 50)
        assert.deepInclude(waiting, { state: "waiting", pending: 1, reason: "too many requests" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("names the variables that credentials come from where the service refuses them, once", () =>
    Effect.gen(function* () {
      const reasonFor = (message: string) =>
        Effect.gen(function* () {
          const refusal = { fail: new BackendError({ backend: "service", message, reason: new Unauthorised() }) }
          const recording = Recording.make([refusal, refusal])
          yield* record([1])
          return (yield* deliverFor(target(recording.backend, { credentials: ["SERVICE_TOKEN"] }), 60))?.reason
        }).pipe(Effect.provide(memory().layer))
      assert.strictEqual(
        yield* reasonFor("It answered 401."),
        'It answered 401. Its credentials come from SERVICE_TOKEN: set them where the run is delivered, then "tracelet sync".'
      )
      assert.strictEqual(yield* reasonFor("It answered 401: set SERVICE_TOKEN."), "It answered 401: set SERVICE_TOKEN.")
    })
  )

  it.effect("logs in again once, then holds the lane until somebody acts", () =>
    Effect.gen(function* () {
      const refusal = { fail: new BackendError({ backend: "service", message: "401", reason: new Unauthorised() }) }
      const recording = Recording.make([refusal, refusal, refusal])
      const { layer } = memory()
      yield* Effect.gen(function* () {
        yield* record([1])
        const status = yield* deliverFor(target(recording.backend), 600)
        assert.deepInclude(status, { state: "held", pending: 1, delivered: 0 })
        assert.strictEqual(recording.writes(), 2)
      }).pipe(Effect.provide(layer))
    })
  )

  for (const [what, seconds] of [
    ["a minute", 60],
    ["an hour", 3_600],
    ["seven days", 7 * 24 * 3_600]
  ] as const) {
    it.effect(
      `tries a service again that is down for ${what}, ever more slowly and in the memory it began with, and delivers all in order`,
      () =>
        Effect.gen(function* () {
          let isDown = true
          const recording = Recording.make([], () => (isDown ? transient("service", "no answer") : undefined))
          const { layer } = memory()
          const perStep = 20
          yield* Effect.gen(function* () {
            const journal = yield* Journal.Journal
            const scope = yield* Scope.make()
            const writer = yield* Scope.provide(journal.write({ run, role: "primary" }), scope)
            writer.event(started)
            yield* writer.commit
            const delivery = yield* deliver(yield* journal.open(run), started, target(recording.backend))
            // As fine as the waits are long, and no more steps than a test has time for.
            const steps = Math.min(seconds, 7 * 24)
            let half = 0
            for (let step = 0; step < steps; step++) {
              for (let i = 0; i < perStep; i++) writer.point("loss", step * perStep + i, undefined, undefined, 1)
              yield* writer.commit
              yield* TestClock.adjust((seconds / steps) * 1000)
              if (step === steps >> 1) half = heapBytes()
            }
            // Up to a minute apart, by chance: that of the lane or of the breaker, whichever is longer, so 40 s on average.
            assert.isAtMost(recording.writes(), seconds / 30 + 20)
            assert.isAtLeast(recording.writes(), seconds / 60)
            assert.strictEqual(
              (yield* delivery?.backends ?? Effect.succeed(new Map())).get("service")?.state,
              "waiting"
            )
            assert.isBelow(heapBytes() - half, 8 * 1024 * 1024)
            isDown = false
            writer.event({ _tag: "RunFinished", time: 9, status: "finished" })
            yield* writer.commit
            yield* Scope.close(scope, Exit.void)
            for (let i = 0; i < 200; i++) yield* TestClock.adjust("1 second")
            assert.isTrue(delivery?.isDone())
            assert.deepStrictEqual(
              recording.points.map(({ value }) => value),
              Array.from({ length: steps * perStep }, (_, i) => i)
            )
          }).pipe(Effect.scoped, Effect.provide(layer))
        }),
      { timeout: 120_000 }
    )
  }

  it.effect("J7.3: holds a run that was begun with another route or other processors", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { layer } = memory()
      yield* Effect.gen(function* () {
        yield* record([1])
        yield* deliverFor(target(recording.backend, { processors: [Processor.rename({ loss: "l" })] }), 3)
        yield* record([2])
        const status = yield* deliverFor(target(recording.backend, { route: Route.kinds("params") }), 3)
        assert.strictEqual(status?.state, "held")
        assert.include(status?.reason, "processor.rename")
      }).pipe(Effect.provide(layer))
      assert.strictEqual(recording.points.length, 1)
    })
  )

  it.effect(
    "J7.6: sends nothing on a damaged cursor where a resend would double it, and all where it is harmless",
    () =>
      Effect.gen(function* () {
        const recording = Recording.make()
        const { layer, files, cursor } = memory()
        const { capabilities } = recording.backend
        const doubling = Backend.of({ ...recording.backend, capabilities: { ...capabilities, identity: "none" } })
        yield* Effect.gen(function* () {
          yield* record([1, 2])
          yield* deliverFor(target(doubling), 3)
          files.set(cursor, new Uint8Array(100))
          const status = yield* deliverFor(target(doubling), 3)
          assert.strictEqual(status?.state, "held")
          assert.strictEqual(recording.points.length, 2)
          yield* deliverFor(target(recording.backend), 3)
          assert.strictEqual(recording.points.length, 4)
        }).pipe(Effect.provide(layer))
      })
  )

  it.effect("J3.5, J7.8: keeps a refused event in the dead letter, with the reason and its identity", () =>
    Effect.gen(function* () {
      const recording = Recording.make([
        { report: () => ({ rejected: [{ event: 0, index: 1, reason: "no such metric" }], retryFrom: undefined }) }
      ])
      const { layer, files, dead } = memory()
      yield* Effect.gen(function* () {
        yield* record([NaN, -0, 3])
        const status = yield* deliverFor(target(recording.backend), 3)
        assert.deepInclude(status, { state: "done", delivered: 2, deadLetter: 1, pending: 0 })
      }).pipe(Effect.provide(layer))
      const [line = "", rest] = text(files.get(dead)).split("\n")
      assert.strictEqual(rest, "")
      const { event, index, reason } = JSON.parse(line)
      assert.deepStrictEqual([index, reason], [1, "no such metric"])
      assert.isTrue(Object.is(event.value, -0))
      assert.strictEqual(event.name, "loss")
    })
  )

  it.effect("writes one letter for an event that is refused again, since its mark was lost with the process", () =>
    Effect.gen(function* () {
      const refuse = (index: number) => ({
        report: () => ({ rejected: [{ event: 0, index, reason: "no such metric" }], retryFrom: undefined })
      })
      const recording = Recording.make([refuse(1), refuse(1), refuse(0)])
      const { layer, files, cursor, dead } = memory()
      yield* Effect.gen(function* () {
        yield* record([1, 2, 3])
        yield* deliverFor(target(recording.backend), 3)
        const before = { ...JSON.parse(text(files.get(cursor))), writers: {}, closed: false }
        files.set(cursor, new TextEncoder().encode(JSON.stringify(before)))
        yield* deliverFor(target(recording.backend), 3)
        yield* record([4])
        yield* deliverFor(target(recording.backend), 3)
      }).pipe(Effect.provide(layer))
      const letters = text(files.get(dead)).trim().split("\n")
      assert.deepStrictEqual(
        letters.map((line) => JSON.parse(line).event.value),
        [2, 4]
      )
    })
  )

  it.effect("J2.7, J10.1, J10.2: takes the status from primaries, and from a child only that it failed", () =>
    Effect.gen(function* () {
      const { layer } = memory()
      yield* Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const end = (role: "primary" | "observer" | "child", status?: "finished" | "failed") =>
          Effect.scoped(
            Effect.gen(function* () {
              const writer = yield* journal.write({ run, role, ...(role === "primary" ? {} : { of: "p" }) })
              writer.event({ _tag: "Heartbeat", time: 5 })
              if (status !== undefined) writer.event({ _tag: "RunFinished", time: 7, status })
              yield* writer.commit
            })
          )
        const standing = Effect.scoped(
          Effect.gen(function* () {
            const opened = yield* journal.open(run)
            return (yield* opened.standing(yield* opened.writersNow)).status
          })
        )
        yield* end("primary", "finished")
        assert.strictEqual(yield* standing, "finished")
        yield* end("child")
        yield* end("observer")
        assert.strictEqual(yield* standing, "finished")
        yield* end("child", "failed")
        assert.strictEqual(yield* standing, "failed")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const writer = yield* journal.write({ run, role: "observer", of: "p" })
            writer.event({ _tag: "Heartbeat", time: 1 })
            yield* writer.commit
            assert.strictEqual(yield* standing, "failed")
            const child = yield* journal.write({ run, role: "child", of: "p" })
            child.event({ _tag: "Heartbeat", time: 1 })
            yield* child.commit
            assert.strictEqual(yield* standing, "running")
          })
        )
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("J7.10, J4.4: says what of a run could not be read, and keeps it with the cursor", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { layer, files, cursor } = memory()
      yield* Effect.gen(function* () {
        yield* record(Array.from({ length: 5_000 }, (_, i) => i))
        const [path = "", bytes = new Uint8Array()] = [...files].find(([name]) => name.endsWith(".tlj")) ?? []
        files.set(path, bytes.slice().fill(0, 4_096, 8_192))
        yield* deliverFor(target(recording.backend), 3)
      }).pipe(Effect.provide(layer))
      const { losses } = JSON.parse(text(files.get(cursor)))
      // The record of columns in which the page lay is lost whole: 2,048 points of 28 bytes.
      assert.isAtLeast(losses.gapBytes, 2_048 * 28)
      assert.strictEqual(recording.points.length, 5_000 - 2_048)
    })
  )

  it.effect("J7.7: believes a backend that keeps the marks itself, whatever the cursor file says", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { layer, files, cursor } = memory()
      let confirmed: Confirmed = { marks: new Map(), counts: noCounts, closed: false }
      const keeping = Backend.of({
        capabilities: { ...recording.backend.capabilities, identity: "position" },
        open: (open) =>
          Effect.map(recording.backend.open(open), (opened) => ({
            ...opened,
            confirmed: Effect.sync(() => confirmed),
            write: (batch) =>
              Effect.tap(opened.write(batch), () =>
                Effect.sync(() => {
                  const delivered =
                    confirmed.counts.delivered + batch.events.reduce((sum, event) => sum + countOf(event), 0)
                  confirmed = {
                    ...confirmed,
                    marks: new Map([[batch.writer, batch.to]]),
                    counts: { ...noCounts, delivered }
                  }
                })
              )
          }))
      })
      yield* Effect.gen(function* () {
        yield* record([1, 2, 3])
        yield* deliverFor(target(keeping), 3)
        files.set(cursor, new Uint8Array(10))
        const status = yield* deliverFor(target(keeping), 3)
        assert.deepInclude(status, { state: "done", delivered: 3, pending: 0 })
        assert.deepInclude(JSON.parse(text(files.get(cursor))), { counts: { delivered: 3, rejected: 0, filtered: 0 } })
      }).pipe(Effect.provide(layer))
      assert.strictEqual(recording.points.length, 3)
    })
  )

  it.effect("J4.4: has what is left of a run whose start is lost, and counts each segment without a header once", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { layer, files, cursor } = memory()
      yield* Effect.gen(function* () {
        yield* record(Array.from({ length: 5_000 }, (_, i) => i))
        const [path = "", bytes = new Uint8Array()] = [...files].find(([name]) => name.endsWith(".tlj")) ?? []
        // The record of the start, which is the first behind the header.
        const header = new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true)
        files.set(path, bytes.slice().fill(0, header, header + 64))
        const opened = yield* (yield* Journal.Journal).open(run)
        assert.strictEqual((yield* opened.started)?.run.name, `run-${run.slice(0, 8)}`)
        yield* deliverFor(target(recording.backend), 3)
        assert.strictEqual(recording.points.length, 5_000)
        // And all of it: the header too.
        files.set(path, bytes.slice().fill(0, 0, 4_096))
        assert.isUndefined(yield* opened.started)
        files.delete(cursor)
        yield* deliverFor(target(recording.backend), 3)
        assert.strictEqual(JSON.parse(text(files.get(cursor))).losses.gapBytes, bytes.length)
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )
})
