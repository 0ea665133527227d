import { assert, it } from "@effect/vitest"
import * as RunEvents from "@tracelet/bridge-python/RunEvents"
import { RunFinder } from "@tracelet/bridge-python/RunFinder"
import * as Cursor from "@tracelet/core/Cursor"
import * as Journal from "@tracelet/core/Journal"
import type { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { describe } from "vitest"

/** A writer that logs `points` and is over when the scope closes. */
const write = Effect.fnUntraced(function* (run: RunId, points: number) {
  const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
  for (let i = 0; i < points; i++) writer.point("loss", i, undefined, undefined, 1)
  yield* writer.commit
  return writer
})

/** Finds runs into a queue; `now` are those that were found so far and not taken out. */
const finding = Effect.gen(function* () {
  const finder = new RunFinder(yield* Journal.Journal, () => true)
  const queue = yield* Queue.unbounded<RunId>()
  yield* Effect.forkScoped(Stream.runForEach(finder.found, (run) => Queue.offer(queue, run)))
  // A look lets others run between two runs.
  const now = Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), Queue.clear(queue))
  return { finder, now }
})

const closedCursor = (run: RunId, writers: ReadonlyArray<string>) =>
  Effect.flatMap(Journal.Journal, (journal) =>
    Effect.flatMap(journal.open(run), (opened) =>
      opened.saveCursor(
        {
          version: 1,
          run,
          backend: "local",
          epoch: 0,
          pin: { route: null, processors: [] },
          remote: null,
          writers: Object.fromEntries(writers.map((writer) => [writer, { position: 8, index: 0 }])),
          counts: Cursor.noCounts,
          intents: [],
          closed: true
        },
        { sync: false }
      )
    )
  )

const writersOf = (run: RunId) =>
  Effect.flatMap(Journal.Journal, (journal) =>
    Effect.flatMap(journal.open(run), (opened) => Effect.map(opened.writers, (writers) => writers.map(({ id }) => id)))
  )

describe("the finder of runs", () => {
  it.effect("gives each run once, those of later looks too, and none that is closed everywhere", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const [open, done, late] = [yield* journal.newRunId, yield* journal.newRunId, yield* journal.newRunId]
      yield* write(open, 1)
      yield* write(done, 1)
      yield* closedCursor(done, yield* writersOf(done))
      const { now } = yield* finding
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(yield* now, [open])
      yield* write(late, 1)
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(yield* now, [late])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* now, [])
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )

  it.effect("gives a run that is done again when another writer comes (J7.9)", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const [closed, released] = [yield* journal.newRunId, yield* journal.newRunId]
      for (const run of [closed, released]) yield* write(run, 1)
      yield* closedCursor(closed, yield* writersOf(closed))
      const { finder, now } = yield* finding
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(yield* now, [released])
      yield* finder.release(released, { _tag: "done", writers: yield* writersOf(released) })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* now, [])
      for (const run of [closed, released]) yield* write(run, 1)
      yield* TestClock.adjust("2 seconds")
      assert.sameMembers(yield* now, [closed, released])
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )

  it.effect("tries a run that another process delivers again, less and less often", () =>
    Effect.gen(function* () {
      const run = yield* (yield* Journal.Journal).newRunId
      yield* write(run, 1)
      const { finder, now } = yield* finding
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(yield* now, [run])
      for (const seconds of [1, 2, 4, 5, 5]) {
        yield* finder.release(run, { _tag: "later" })
        yield* TestClock.adjust(seconds * 1_000 - 260)
        assert.deepStrictEqual(yield* now, [])
        yield* TestClock.adjust(520)
        assert.deepStrictEqual(yield* now, [run])
      }
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )
})

describe("the tail of a run", () => {
  it.live("gives what is there and what comes, and ends with the last writer", () =>
    Effect.gen(function* () {
      const run = yield* (yield* Journal.Journal).newRunId
      const count = (batches: ReadonlyArray<{ readonly events: ReadonlyArray<{ readonly _tag: string }> }>) =>
        batches
          .flatMap(({ events }) => events)
          .reduce((n, event) => n + ("count" in event ? Number(event.count) : 0), 0)
      const tail = yield* Effect.forkChild(Stream.runCollect(RunEvents.tail(run, { pointsMax: 100 })))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const writer = yield* write(run, 250)
          yield* Effect.sleep("50 millis")
          for (let i = 0; i < 5; i++) writer.point("loss", i, undefined, undefined, 1)
          yield* writer.commit
          yield* Effect.sleep("50 millis")
        })
      )
      const batches = yield* Fiber.join(tail)
      assert.strictEqual(count(batches), 255)
      assert.isAtLeast(batches.length, 4)
      const from = new Map(batches.slice(0, 2).map(({ writer, to }) => [writer, to]))
      const rest = yield* Stream.runCollect(RunEvents.tail(run, { from }))
      assert.strictEqual(count(rest), 255 - count(batches.slice(0, 2)))
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )
})
