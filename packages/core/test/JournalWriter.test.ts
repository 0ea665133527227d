import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { describe } from "vitest"
import * as Journal from "../src/Journal.ts"
import { JournalStorage, StorageError } from "../src/JournalStorage.ts"
import * as Tracelet from "../src/Tracelet.ts"
import * as Tracker from "../src/Tracker.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import * as Recording from "./support/RecordingBackend.ts"

/** A disk whose next `failures` appends fail. That a part may have been written then is platform-node's test, on a real full disk. */
const failingDisk = () => {
  const memory = makeMemory()
  const disk = { failures: 0, tried: 0 }
  const full = new StorageError({ operation: "append to", path: "segment", code: "ENOSPC", message: "no space left" })
  const storage = JournalStorage.of({
    ...memory.storage,
    openAppend: (path) =>
      Effect.map(memory.storage.openAppend(path), (file) => ({
        ...file,
        append: (vectors) =>
          Effect.suspend(() => {
            disk.tried++
            if (disk.failures === 0) return file.append(vectors)
            disk.failures--
            return Effect.fail(full)
          })
      }))
  })
  return {
    disk,
    storage,
    layer: Journal.layerFile({ dir: "memory" }).pipe(Layer.provide(Layer.succeed(JournalStorage, storage)))
  }
}

const tracked = (
  recording: ReturnType<typeof Recording.make>,
  options: { readonly bufferBytes?: number; readonly onFull?: "dropNewest" } = {}
) => Tracelet.layer({ ...options, drain: "5 seconds", backends: { memory: Recording.plugin(recording).plugin() } })

/** What the types let nobody write. */
const untyped = (value: unknown) => JSON.parse("[null]", () => value)

/** What is logged meanwhile, as lines. */
const listen = () => {
  const said: Array<string> = []
  return { said, loggers: new Set([Logger.make(({ message }) => void said.push(String(message)))]) }
}

describe("a writer", () => {
  it.live("forgets nothing when the disk is full for a while, and doubles nothing after", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { disk, layer } = failingDisk()
      yield* Effect.gen(function* () {
        yield* Tracker.log({ a: 0 })
        yield* Tracker.flush
        disk.failures = 3
        for (let i = 1; i < 100; i++) yield* Tracker.log({ a: i })
        const failed = yield* Effect.flip(Tracker.flush)
        assert.strictEqual(failed.code, "ENOSPC")
        for (let i = 100; i < 200; i++) yield* Tracker.log({ a: i })
        yield* Effect.ignore(Tracker.flush)
        yield* Effect.ignore(Tracker.flush)
        yield* Tracker.flush
      }).pipe(Tracker.withRun(), Effect.provide(Layer.provide(tracked(recording), layer)))
      assert.deepStrictEqual(
        recording.points.map(({ value }) => value),
        Array.from({ length: 200 }, (_, i) => i)
      )
    })
  )

  it.live("does not begin a run whose first record the disk does not take, and fails with what it said", () =>
    Effect.gen(function* () {
      const { disk, layer } = failingDisk()
      disk.failures = Number.POSITIVE_INFINITY
      let hasBegun = false
      const error = yield* Effect.sync(() => void (hasBegun = true)).pipe(
        Tracker.withRun(),
        Effect.flip,
        Effect.provide(Layer.provide(tracked(Recording.make()), layer))
      )
      assert.strictEqual(error._tag, "StorageError")
      assert.isFalse(hasBegun)
    })
  )

  it.live("lets log wait for the writer when the buffer is full, and loses nothing", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      yield* Effect.gen(function* () {
        for (let i = 0; i < 20_000; i++) yield* Tracker.log({ a: i })
      }).pipe(
        Tracker.withRun(),
        Effect.provide(Layer.provide(tracked(recording, { bufferBytes: 1_000 }), Journal.layerMemory))
      )
      assert.strictEqual(recording.points.length, 20_000)
    })
  )

  it.live("fails a call that asks for it when the buffer is full, and keeps nothing of that call", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      let failures = 0
      yield* Effect.gen(function* () {
        for (let i = 0; i < 1_000; i++) {
          yield* Effect.catch(Tracker.log({ a: i }, { onFull: "fail" }), (error) =>
            Effect.sync(() => void (failures += error._tag === "BufferFull" ? 1 : 0))
          )
        }
      }).pipe(
        Tracker.withRun(),
        Effect.provide(Layer.provide(tracked(recording, { bufferBytes: 1_000 }), Journal.layerMemory))
      )
      assert.isAbove(failures, 0)
      assert.strictEqual(recording.points.length + failures, 1_000)
    })
  )

  for (const { options, when } of [
    { when: "there is room", options: {} },
    { when: "the buffer is full", options: { bufferBytes: 1, onFull: "dropNewest" } }
  ] as const) {
    it.live(`counts as refused what comes with options that raise when they are read: ${when}`, () =>
      Effect.gen(function* () {
        const recording = Recording.make()
        const { loggers, said } = listen()
        yield* Effect.gen(function* () {
          if (options.bufferBytes !== undefined) {
            // More than the buffer holds, and this fiber gives the writer no time until it yields.
            yield* Tracker.log({ a: 1, b: 2 })
          }
          for (const key of ["durable", "onFull", "step", "context"]) {
            if (key === "onFull" && options.bufferBytes === undefined) continue // There it is not read.
            const raising = Object.defineProperty({}, key, {
              get: () => {
                throw new Error(`read ${key} not`)
              }
            })
            yield* Tracker.log({ lost: 1, also: 2 }, untyped(raising))
          }
        }).pipe(
          Tracker.withRun(),
          Effect.provide(Layer.provide(tracked(recording, options), Journal.layerMemory)),
          Effect.provideService(Logger.CurrentLoggers, loggers)
        )
        const count = options.bufferBytes === undefined ? 6 : 8
        assert.include(said.join("\n"), `${count} values of run`)
        assert.include(said.join("\n"), "not kept: it raised when it was read")
        assert.isFalse(recording.points.some(({ name }) => name === "lost" || name === "also"))
        assert.strictEqual(recording.closed[0]?.status, "finished")
      })
    )
  }

  it.live("does not stop the program while the disk takes nothing: counts what is lost, and says why", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { disk, layer } = failingDisk()
      yield* Effect.gen(function* () {
        yield* Tracker.flush
        disk.failures = Number.POSITIVE_INFINITY
        for (let i = 0; i < 20_000; i++) yield* Tracker.log({ a: i })
        disk.failures = 0
        yield* Tracker.flush
        yield* Tracker.log({ a: -1 })
      }).pipe(Tracker.withRun(), Effect.provide(Layer.provide(tracked(recording, { bufferBytes: 10_000 }), layer)))
      const values = recording.points.map(({ value }) => value)
      assert.isBelow(values.length, 20_000)
      assert.strictEqual(values.at(-1), -1)
      assert.deepStrictEqual(
        values.slice(0, -1),
        Array.from({ length: values.length - 1 }, (_, i) => i)
      )
    })
  )

  it.live("says once that it cannot write, and at the end of the run how much is lost, each event counted once", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { disk, layer } = failingDisk()
      const { said, loggers } = listen()
      yield* Effect.gen(function* () {
        yield* Tracker.log({ kept: 1 })
        yield* Tracker.flush
        disk.failures = Number.POSITIVE_INFINITY
        yield* Tracker.logParams({ lr: 0.1 })
        for (let i = 0; i < 20_000; i++) yield* Tracker.log({ a: i })
        yield* Tracker.log(untyped(null))
        yield* Effect.sleep("2500 millis")
      }).pipe(
        Tracker.withRun({ name: "full" }),
        Effect.provide(Layer.provide(tracked(recording, { bufferBytes: 100_000 }), layer)),
        Effect.provideService(Logger.CurrentLoggers, loggers)
      )
      const text = said.join("\n")
      assert.strictEqual(text.match(/cannot write its journal, and tries again/g)?.length, 1, text)
      const count = (pattern: RegExp) => Number(pattern.exec(text)?.[1])
      const dropped = count(/(\d+) values of run full not kept: the buffer was full/)
      const lost = count(/could not write the end of run full, and (\d+) events that were logged are lost/)
      // The params, 20,000 points, and what is no object of names and values.
      assert.strictEqual(dropped + lost, 20_002, text)
      assert.strictEqual(recording.points.length, 1)
    })
  )

  it.live("fails a flush whose journal somebody removed, and says at the end how much is lost", () =>
    Effect.gen(function* () {
      const { layer, storage } = failingDisk()
      const { said, loggers } = listen()
      yield* Effect.gen(function* () {
        const run = yield* Tracker.startRun({ name: "bereft" })
        yield* run.provide(Effect.andThen(Tracker.log({ loss: 1 }), Tracker.flush))
        const folder = storage.join("memory", "runs", run.id, "journal")
        for (const name of yield* storage.list(folder)) yield* storage.remove(storage.join(folder, name))
        // Nothing was logged since the last flush, and what that one was told of is not there any more.
        assert.strictEqual((yield* Effect.flip(run.provide(Tracker.flush))).code, "ENOENT")
        yield* run.provide(Tracker.log({ loss: 2, acc: 3 }))
        yield* Effect.flip(run.provide(Tracker.flush))
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provide(tracked(Recording.make()), layer)),
        Effect.provideService(Logger.CurrentLoggers, loggers)
      )
      assert.include(said.join("\n"), "could not write the end of run bereft, and 3 events that were logged are lost")
    })
  )

  it.live("takes anything without raising after the run has ended, too", () =>
    Effect.gen(function* () {
      const { said, loggers } = listen()
      yield* Effect.gen(function* () {
        const run = yield* Effect.scoped(Tracker.startRun({}))
        for (const what of [null, undefined, 5, new Map(), Object.create(null)]) {
          yield* run.provide(Tracker.log(untyped(what)))
          yield* Effect.flip(run.provide(Tracker.log(untyped(what), { durable: true })))
          yield* run.provide(Tracker.logText(untyped(what), "x"))
          yield* run.provide(Tracker.logParams(untyped(what)))
        }
        const error = yield* Effect.flip(Effect.scoped(Tracker.startRun(untyped(null))))
        assert.include(error.message, "What a run was given as its options is null")
      }).pipe(
        Effect.provide(Layer.provide(tracked(Recording.make()), Journal.layerMemory)),
        Effect.provideService(Logger.CurrentLoggers, loggers)
      )
      assert.isAtLeast(said.filter((line) => line.includes("has ended")).length, 15)
    })
  )

  it.live("returns from a durable log when the disk has it", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const { disk, layer } = failingDisk()
      yield* Effect.gen(function* () {
        yield* Tracker.flush
        const before = disk.tried
        yield* Tracker.log({ a: 1 }, { durable: true })
        assert.isAbove(disk.tried, before)
      }).pipe(Tracker.withRun(), Effect.provide(Layer.provide(tracked(recording), layer)))
    })
  )

  it.live("spills a text that fits no record into a blob, and reads it back", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const run = yield* Tracker.startRun()
      yield* Tracker.logText("long", "é".repeat(100_000)).pipe(run.provide)
      yield* run.provide(Tracker.flush)
      const reader = yield* (yield* journal.open(run.id)).reader(new Map(), { points: 100, bytes: 1e6 })
      const batch = yield* reader.next
      const text = batch?.events.find((event) => event._tag === "Text")
      assert.strictEqual(text?._tag === "Text" ? text.text : "", "é".repeat(100_000))
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(tracked(Recording.make()), Journal.layerMemory)))
  )
})
