/** The bytes of a derived journal: what of it is committed, whatever is left of its last group. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe } from "vitest"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { RunId } from "../src/Run.ts"
import * as DerivedJournal from "../src/internal/derivedJournal.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import { decodeHeader } from "../src/internal/segment.ts"

const run = RunId.make("0123456789abcdef")
const runFolder = `d/runs/${run}`
const name = "mean"
const folder = `${runFolder}/derived/${name}`

const outputs = (...steps: ReadonlyArray<number>) =>
  steps.map((step) => ({ name: "loss", context: { reduce: "mean" }, step, value: step / 2, time: step }))

const commit = (state: string) => ({ processor: "processor.reduce", version: "1", config: {}, consumed: {}, state })

/** Two groups, and where the second begins in the file. */
const twoGroups = Effect.gen(function* () {
  const memory = makeMemory()
  const { storage } = memory
  const writer = yield* DerivedJournal.writerId(storage, name, undefined)
  const next = DerivedJournal.beginning
  const scope = yield* Effect.scope
  const journal = new DerivedJournal.DerivedWriter({
    storage,
    runFolder,
    run,
    name,
    writer,
    next,
    blob: undefined,
    scope
  })
  const first = yield* journal.commit(outputs(1, 2), commit("one"))
  yield* journal.commit(outputs(3, 4, 5), commit("two"))
  const path = `${folder}/${writer}.0.tlj`
  const bytes = memory.files.get(path)?.slice() ?? new Uint8Array()
  const from = first.committed + (decodeHeader(bytes)?.length ?? 0)
  return { memory, writer, path, bytes, from, committed: first.committed }
})

const find = (storage: JournalStorage["Service"]) => DerivedJournal.find(storage, runFolder, run, name)

/** Steps that a lane would be given. */
const stepsRead = (storage: JournalStorage["Service"]) =>
  Effect.gen(function* () {
    const opened = yield* (yield* Journal.Journal).open(run)
    const views = yield* DerivedJournal.committed(storage, runFolder, run)
    const limits = { points: 2, bytes: 1_000 }
    const reader = yield* opened.reader(new Map(), limits, { views: Effect.succeed(views), isDone: () => true })
    const steps: Array<number> = []
    for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
      for (const event of batch.events) if (event._tag === "PointBatch") steps.push(...event.steps)
    }
    return steps
  }).pipe(
    Effect.provide(Layer.provide(Journal.layerFile({ dir: "d" }), Layer.succeed(JournalStorage, storage))),
    Effect.scoped
  )

const count = (storage: JournalStorage["Service"]) =>
  Effect.gen(function* () {
    const opened = yield* (yield* Journal.Journal).open(run)
    return yield* opened.countFrom(new Map())
  }).pipe(
    Effect.provide(Layer.provide(Journal.layerFile({ dir: "d" }), Layer.succeed(JournalStorage, storage))),
    Effect.scoped
  )

describe("a derived journal", () => {
  it.effect("J13.2: has a writer whose id is the same everywhere, and another for each processor and input", () =>
    Effect.gen(function* () {
      const { storage } = makeMemory()
      const pairs = [
        ["mean", undefined],
        ["max", undefined],
        ["mean", "w1"],
        ["mean", "w2"],
        ["mean-w1", undefined]
      ] as const
      const ids = yield* Effect.forEach(pairs, ([of, input]) => DerivedJournal.writerId(storage, of, input))
      assert.strictEqual(new Set(ids).size, pairs.length)
      assert.isTrue(ids.every((id) => /^derived-[0-9a-f]{16}$/.test(id) && DerivedJournal.isDerived(id)))
      assert.deepStrictEqual(ids[0], yield* DerivedJournal.writerId(makeMemory().storage, "mean", undefined))
      // Recorded, since a change would double what is delivered of runs that go on.
      assert.strictEqual(ids[0], "derived-e6f5949737289e21")
    })
  )

  it.effect("J13.3: is read up to its last commit, wherever what follows it breaks off", () =>
    Effect.gen(function* () {
      const { memory, bytes, path, from, committed } = yield* twoGroups
      for (let length = from; length < bytes.length; length++) {
        memory.files.set(path, bytes.slice(0, length))
        const found = [...(yield* find(memory.storage)).values()][0]
        // The padding behind a record is not covered by its checksum.
        if (found?.last?.state === "two") {
          assert.isBelow(bytes.length - length, 8)
          continue
        }
        assert.strictEqual(found?.last?.state, "one", `cut at ${length}`)
        assert.deepStrictEqual(found?.segments, [{ number: 0, committed }])
        if (length % 16 === 0) assert.deepStrictEqual(yield* stepsRead(memory.storage), [1, 2])
      }
      memory.files.set(path, bytes)
      assert.deepStrictEqual(yield* stepsRead(memory.storage), [1, 2, 3, 4, 5])
    }).pipe(Effect.scoped)
  )

  it.effect("J13.4: does not commit a group of which anything is lost, though its commit is whole", () =>
    Effect.gen(function* () {
      const { memory, bytes, path, from } = yield* twoGroups
      for (let at = from; at < bytes.length - 8; at += 8) {
        const damaged = bytes.slice()
        damaged.fill(0, at, at + 8)
        if (damaged.every((byte, i) => byte === bytes[i])) continue
        memory.files.set(path, damaged)
        const found = [...(yield* find(memory.storage)).values()][0]
        assert.strictEqual(found?.last?.state, "one", `damaged at ${at}`)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("J13.5: goes on in a new segment behind what was not committed, which nobody ever reads", () =>
    Effect.gen(function* () {
      const { memory, bytes, path, from, writer } = yield* twoGroups
      memory.files.set(path, bytes.slice(0, bytes.length - 32))
      const { storage } = memory
      const found = (yield* find(storage)).get(writer)
      assert.isDefined(found)
      const scope = yield* Effect.scope
      const { next } = found
      const journal = new DerivedJournal.DerivedWriter({
        storage,
        runFolder,
        run,
        name,
        writer,
        next,
        blob: undefined,
        scope
      })
      yield* journal.commit(outputs(3, 4, 5), commit("two"))
      yield* journal.commit(outputs(6), commit("three"))
      assert.strictEqual(next.number, 1)
      assert.isAtLeast(next.streamOffset, bytes.length - 32 - from)
      assert.deepStrictEqual(yield* stepsRead(storage), [1, 2, 3, 4, 5, 6])
      const { events, points, losses } = yield* count(storage)
      assert.deepStrictEqual(
        { events, points, losses },
        {
          events: 6,
          points: 0,
          losses: { gapBytes: 0, unknown: 0, damaged: 0 }
        }
      )
    }).pipe(Effect.scoped)
  )

  it.effect("J13.7: keeps a long state in a blob, and only the last one's", () =>
    Effect.gen(function* () {
      const memory = makeMemory()
      const { storage } = memory
      const writer = yield* DerivedJournal.writerId(storage, name, undefined)
      const scope = yield* Effect.scope
      const next = DerivedJournal.beginning
      const journal = new DerivedJournal.DerivedWriter({
        storage,
        runFolder,
        run,
        name,
        writer,
        next,
        blob: undefined,
        scope
      })
      for (const letter of ["a", "b", "c"]) {
        yield* journal.commit(outputs(1), commit(letter.repeat(20_000)))
        yield* journal.removeOldStates
      }
      const blobs = [...memory.files.keys()].filter((path) => path.startsWith(`${runFolder}/blobs/`))
      assert.strictEqual(blobs.length, 1)
      const last = (yield* find(storage)).get(writer)?.last
      assert.isDefined(last)
      assert.strictEqual(yield* DerivedJournal.readState(storage, runFolder, last), "c".repeat(20_000))
      memory.files.set(blobs[0] ?? "", new Uint8Array(3))
      assert.isUndefined(yield* DerivedJournal.readState(storage, runFolder, last))
    }).pipe(Effect.scoped)
  )
})
