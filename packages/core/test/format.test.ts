/** The bytes and the pace of the writer in this process, against journal.md's lines; Python's are held by the golden journals. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import { crc32 } from "node:zlib"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { RunId } from "../src/Run.ts"
import type { Payload, RunEvent } from "../src/RunEvent.ts"
import { makeMemory, type MemoryOptions } from "../src/internal/memoryStorage.ts"

const run = RunId.make("0123456789abcdef")

const inMemory = (options?: MemoryOptions) => {
  const { storage, files, locks } = makeMemory(options)
  let syncs = 0
  const counting = JournalStorage.of({
    ...storage,
    openAppend: (path) =>
      Effect.map(storage.openAppend(path), (file) => ({
        ...file,
        sync: Effect.tap(file.sync, () => Effect.sync(() => syncs++))
      }))
  })
  const layer = Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, counting)))
  const segment = () => [...files].find(([name]) => name.endsWith(".0.tlj"))?.[1] ?? new Uint8Array()
  return { layer, files, locks, segment, syncs: () => syncs }
}

const readAll = Effect.gen(function* () {
  const journal = yield* Journal.Journal
  const reader = yield* (yield* journal.open(run)).reader(new Map(), { points: 1_000, bytes: 1e6 })
  const events: Array<RunEvent> = []
  for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) events.push(...batch.events)
  return events
}).pipe(Effect.scoped)

const digest = `sha256:${"0f".repeat(32)}`
const everyKind: ReadonlyArray<Payload> = [
  { _tag: "Heartbeat", time: 1 },
  { _tag: "Params", time: 2, params: { a: [1, { b: null }], "": -0 } },
  { _tag: "Tags", time: 3, tags: { label: "", key: "value" } },
  { _tag: "Text", time: 4, name: "note", context: { rank: 3 }, step: -7, text: "…" },
  {
    _tag: "Media",
    time: 5,
    name: "h",
    context: {},
    step: 1,
    kind: "histogram",
    mediaType: "application/json",
    digest,
    bytes: 9,
    edges: [0, 1],
    counts: [5]
  },
  {
    _tag: "Artifact",
    time: 6,
    name: "model",
    type: "model",
    files: [{ path: "m.bin", digest, bytes: 12 }],
    references: ["s3://x"]
  },
  // A dataset that the run used, as J5.16 has it.
  {
    _tag: "Artifact",
    time: 6,
    name: "wine",
    type: "dataset",
    files: [],
    references: ["https://example.org/wine.csv"],
    description: "the red ones",
    metadata: { rows: 178 },
    input: {
      context: "training",
      digest: "v3",
      sourceType: "http",
      schema: [{ name: "hue", type: "double" }],
      profile: null
    }
  },
  { _tag: "Console", time: 7, stream: "stderr", text: "warning\n" },
  {
    _tag: "Derived",
    processor: "processor.mean",
    version: "1",
    config: {},
    from: 48,
    consumed: Object.fromEntries([["w1", { position: 96, index: 2, phase: "joined" }]]),
    state: null
  },
  { _tag: "RunFinished", time: 8, status: "failed", exitCode: 3, error: "no" }
]

describe("the writer's bytes", () => {
  it.effect("J2.2, J3.1, J3.2, J3.3, J5.2, J5.3: are those of the specification, read by hand", () =>
    Effect.gen(function* () {
      const { layer, segment } = inMemory({ host: { name: "here", boot: "this boot", pid: 7 } })
      yield* Effect.gen(function* () {
        const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
        writer.point("loss", 0.5, -3, undefined, 1_790_000_000.25)
        writer.point("loss", NaN, 2 ** 53 - 1, { rank: 1 }, 1_790_000_001)
        yield* writer.commit
      }).pipe(Effect.scoped, Effect.provide(layer))
      const bytes = segment()
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      assert.deepStrictEqual([...bytes.subarray(0, 8)], [0x89, 0x54, 0x4c, 0x4a, 0x0d, 0x0a, 0x1a, 0x0a])
      assert.deepStrictEqual([view.getUint16(8, true), view.getUint16(10, true)], [1, 1])
      const identity = JSON.parse(new TextDecoder().decode(bytes.subarray(64, 64 + view.getUint32(48, true))))
      assert.deepInclude(identity, { run, host: "here", boot: "this boot", pid: 7 })
      const header = view.getUint32(12, true)
      const salt = view.getUint32(16, true)
      let at = header
      const kinds: Array<number> = []
      while (at < bytes.length) {
        const length = view.getUint32(at, true)
        const position = at - header
        assert.strictEqual(at % 8, 0)
        assert.strictEqual(
          crc32(bytes.subarray(at + 8, at + 8 + length), (salt ^ position) >>> 0),
          view.getUint32(at + 4, true)
        )
        kinds.push(view.getUint32(at + 8, true))
        if (kinds.at(-1) === 2) {
          assert.strictEqual(length, 8 + 28 * 2)
          assert.strictEqual(view.getUint32(at + 12, true), 2)
          assert.deepStrictEqual(
            [view.getBigInt64(at + 16, true), view.getBigInt64(at + 24, true)],
            [-3n, 2n ** 53n - 1n]
          )
          assert.deepStrictEqual([view.getFloat64(at + 32, true), view.getFloat64(at + 40, true)], [0.5, NaN])
          assert.deepStrictEqual(
            [view.getFloat64(at + 48, true), view.getFloat64(at + 56, true)],
            [1_790_000_000.25, 1_790_000_001]
          )
          assert.deepStrictEqual([view.getUint32(at + 64, true), view.getUint32(at + 68, true)], [0, 1])
        }
        at += Math.ceil((8 + length) / 8) * 8
      }
      assert.deepStrictEqual(kinds, [3, 3, 2])
    })
  )

  it.effect("J5.6, J5.7, J5.8, J5.9, J5.10, J5.11, J5.12, J5.13: hold every kind, and read back as it was", () =>
    Effect.gen(function* () {
      const { layer } = inMemory()
      yield* Effect.gen(function* () {
        const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
        for (const event of everyKind) writer.event(event)
        yield* writer.commit
        const events = yield* readAll
        assert.deepStrictEqual(
          events.map(({ _tag, ...fields }) => ({ _tag, ...fields, position: 0 })),
          everyKind.map((event) => ({ ...event, position: 0 }))
        )
        const params = events.find((event) => event._tag === "Params")
        assert.isTrue(Object.is(params?._tag === "Params" ? params.params[""] : 0, -0))
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )
})

describe("the writer's pace", () => {
  it.effect("J9.3: writes a group 10 ms after its first event, or with 64 KiB", () =>
    Effect.gen(function* () {
      const { layer, segment } = inMemory()
      yield* Effect.gen(function* () {
        const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
        yield* TestClock.adjust(100)
        writer.point("loss", 1, undefined, undefined, 1)
        yield* TestClock.adjust(9)
        assert.strictEqual(segment().length, 0)
        yield* TestClock.adjust(1)
        const first = segment().length
        assert.isAbove(first, 0)
        for (let i = 0; i < 3_000; i++) writer.point("loss", i, undefined, undefined, 1)
        yield* TestClock.adjust(0)
        assert.isAtLeast(segment().length, first + 64 * 1024)
        yield* TestClock.adjust(10)
        assert.isAbove(segment().length, first + 3_000 * 28)
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )

  it.effect("J9.4: syncs what changed every second, and nothing else", () =>
    Effect.gen(function* () {
      const { layer, syncs } = inMemory()
      yield* Effect.gen(function* () {
        const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
        writer.point("loss", 1, undefined, undefined, 1)
        yield* TestClock.adjust(20)
        yield* TestClock.adjust(1_000)
        assert.strictEqual(syncs(), 1)
        for (let i = 0; i < 10; i++) yield* TestClock.adjust(1_000)
        assert.strictEqual(syncs(), 1)
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )

  it.effect("J5.7: beats every 30 s where locks cannot be trusted, and not where they can", () =>
    Effect.gen(function* () {
      for (const isLocal of [true, false]) {
        const { layer } = inMemory({ isLocal })
        yield* Effect.gen(function* () {
          const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
          for (let i = 0; i < 61; i++) yield* TestClock.adjust(1_000)
          yield* writer.commit
          const beats = (yield* readAll).filter(({ _tag }) => _tag === "Heartbeat")
          assert.strictEqual(beats.length, isLocal ? 0 : 3)
        }).pipe(Effect.scoped, Effect.provide(layer))
      }
    })
  )

  it.effect(
    "J8.4, J8.6: of another boot on a file system that is not local a silent writer is stale; one without a lock file is over",
    () =>
      Effect.gen(function* () {
        const { layer, files, locks } = inMemory({ isLocal: false, host: { name: "a", boot: "one", pid: 1 } })
        yield* Effect.gen(function* () {
          const journal = yield* Journal.Journal
          const writer = yield* journal.write({ run, role: "primary" })
          writer.event({ _tag: "Heartbeat", time: 1 })
          yield* writer.commit
          const elsewhere = makeMemory({ isLocal: false, host: { name: "b", boot: "two", pid: 2 } })
          for (const [path, bytes] of files) elsewhere.files.set(path, bytes)
          for (const lock of locks) elsewhere.locks.add(lock)
          const other = Journal.layerFile({ dir: "d" }).pipe(
            Layer.provide(Layer.succeed(JournalStorage, elsewhere.storage))
          )
          const status = Effect.gen(function* () {
            const opened = yield* (yield* Journal.Journal).open(run)
            return (yield* opened.standing(yield* opened.writersNow)).status
          }).pipe(Effect.scoped)
          assert.strictEqual(yield* Effect.provide(status, other), "stale")
          assert.strictEqual(yield* status, "running")
          for (const path of Array.from(files.keys())) if (path.endsWith(".lock")) files.delete(path)
          locks.clear()
          assert.strictEqual(yield* status, "killed")
        }).pipe(Effect.scoped, Effect.provide(layer))
      })
  )
})
