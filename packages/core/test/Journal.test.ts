import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe } from "vitest"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import * as Run from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"

describe("Journal", () => {
  it.effect("reads back what a writer of this process logged, in order, and knows when it is over", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const run = yield* journal.newRunId
      yield* Effect.scoped(
        Effect.gen(function* () {
          const writer = yield* journal.write({ run, role: "primary" })
          writer.event(runStarted(run, { time: 1, name: "n" }))
          for (let i = 0; i < 5_000; i++) writer.point("loss", i / 2, undefined, undefined, 2)
          writer.event({ _tag: "Params", time: 3, params: { lr: 0.1 } })
          writer.point("loss", NaN, undefined, { subset: "val" }, 4)
          writer.event({ _tag: "RunFinished", time: 5, status: "finished" })
          yield* writer.commit
        })
      )
      const runJournal = yield* journal.open(run)
      assert.strictEqual((yield* runJournal.started)?.run.name, "n")
      const writers = yield* runJournal.writersNow
      assert.deepStrictEqual(yield* runJournal.standing(writers), { status: "finished", endedAt: 5 })
      const reader = yield* runJournal.reader(new Map(), { points: 1_000, bytes: 1e6 })
      const seen: Array<string> = []
      let points = 0
      for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
        for (const event of batch.events) {
          if (event._tag !== "PointBatch") seen.push(event._tag)
          else points += event.count
        }
      }
      assert.deepStrictEqual(seen, ["RunStarted", "Params", "RunFinished"])
      assert.strictEqual(points, 5_001)
      assert.isTrue(reader.isDrained())
      assert.deepStrictEqual(yield* runJournal.countFrom(new Map()), {
        events: 5_002,
        points: 5_001,
        losses: { gapBytes: 0, unknown: 0, damaged: 0 }
      })
      assert.isTrue(Run.worst(["finished", "failed"]) === "failed")
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )

  it.effect("knows that a run has only just begun without asking whether its writer lives", () => {
    const { files, storage } = makeMemory()
    // A lock that is held takes up to 150 ms to tell.
    const slow = JournalStorage.of({ ...storage, probe: () => Effect.never })
    return Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const run = yield* journal.newRunId
      const writer = yield* journal.write({ run, role: "primary" })
      writer.event(runStarted(run, { time: 1, name: "n" }))
      yield* writer.commit
      const [path = "", bytes = new Uint8Array()] = [...files].find(([name]) => name.endsWith(".tlj")) ?? []
      const opened = yield* journal.open(run)
      // As it is for a moment: a header with nothing behind it.
      files.set(path, bytes.slice(0, new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true)))
      assert.isUndefined(yield* opened.started)
      files.set(path, bytes)
      assert.strictEqual((yield* opened.started)?.run.name, "n")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provide(Journal.layerFile({ dir: "d" }), Layer.succeed(JournalStorage, slow)))
    )
  })

  it.effect("has the latest name that observers gave the run, and tags that were taken away (J5.9, J5.14)", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const run = yield* journal.newRunId
      const primary = yield* journal.write({ run, role: "primary" })
      primary.point("loss", 1, undefined, undefined, 1)
      yield* primary.commit
      const opened = yield* journal.open(run)
      assert.deepStrictEqual(yield* opened.amended, { name: undefined, lastTime: -Infinity })
      const rename = (name: string, time: number) =>
        Effect.gen(function* () {
          const writer = yield* journal.write({ run, role: "observer", of: primary.id })
          writer.event({ _tag: "Renamed", time, name })
          writer.event({ _tag: "Tags", time, tags: { kept: "", gone: null } })
        }).pipe(Effect.scoped)
      yield* rename("late", 20)
      yield* rename("early", 10)
      assert.deepStrictEqual(yield* opened.amended, { name: "late", lastTime: 20 })
      const reader = yield* opened.reader(new Map(), { points: 1_000, bytes: 1e6 })
      const tags: Array<unknown> = []
      for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
        for (const event of batch.events) if (event._tag === "Tags") tags.push(event.tags)
      }
      assert.deepStrictEqual(tags, [
        { kept: "", gone: null },
        { kept: "", gone: null }
      ])
      assert.deepStrictEqual(reader.losses(), { gapBytes: 0, unknown: 0, damaged: 0 })
      assert.strictEqual((yield* opened.countFrom(new Map())).events, 5)
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )
})
