import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import { Backend, type OpenRun } from "../src/Backend.ts"
import { poison, transient, type BackendError } from "../src/BackendError.ts"
import type { Intent } from "../src/Cursor.ts"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { deliver } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import * as Recording from "./support/RecordingBackend.ts"

const run = RunId.make("0123456789abcdef")
const started = runStarted(run, { time: 1, name: "n" })

/** Delivers a run of one point to a backend that does `opening` first, for a minute of virtual time; `between` is asked before each of them. */
const lifeOf = (opening: (open: OpenRun) => Effect.Effect<void, BackendError>) => {
  const { files, storage } = makeMemory()
  const layer = Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, storage)))
  const cursor = `d/runs/${run}/cursors/service.json`
  const recording = Recording.make()
  const backend = Backend.of({
    ...recording.backend,
    open: (open) => Effect.andThen(opening(open), recording.backend.open(open))
  })
  const intents = (): ReadonlyArray<Intent> => {
    const bytes = files.get(cursor)
    return bytes === undefined ? [] : JSON.parse(new TextDecoder().decode(bytes)).intents
  }
  const record = Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const writer = yield* journal.write({ run, role: "primary" })
      writer.event(started)
      writer.event({ _tag: "RunFinished", time: 9, status: "finished" })
      yield* writer.commit
    })
  )
  const live = Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const target = { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
      yield* deliver(yield* journal.open(run), started, new Map([["service", target]]))
      for (let i = 0; i < 600; i++) yield* TestClock.adjust(100)
    })
  )
  return { files, intents, recording, record: Effect.provide(record, layer), live: Effect.provide(live, layer) }
}

describe("what a lane lends to its backend", () => {
  it.effect("J7.5: has an intent on the disk before a call that cannot be repeated, and none behind it", () =>
    Effect.gen(function* () {
      const seen: Array<ReadonlyArray<Intent>> = []
      const life = lifeOf(({ once }) =>
        once("createRun", { name: "n" }, () => Effect.sync(() => void seen.push(life.intents())))
      )
      yield* life.record
      yield* life.live
      assert.deepStrictEqual(
        seen.map((intents) => intents.map(({ kind, detail }) => ({ kind, detail }))),
        [[{ kind: "createRun", detail: { name: "n" } }]]
      )
      assert.deepStrictEqual(life.intents(), [])
      assert.strictEqual(life.recording.closed.length, 1)
    })
  )

  it.effect("J7.5: says that a call is uncertain when the one before may have been applied, in another life too", () =>
    Effect.gen(function* () {
      const told: Array<boolean> = []
      let isUp = false
      const life = lifeOf(({ once }) =>
        once("createRun", {}, (isUncertain) => {
          told.push(isUncertain)
          return isUp ? Effect.void : told.length === 1 ? transient("service", "no answer") : Effect.never
        })
      )
      yield* life.record
      yield* life.live
      assert.deepStrictEqual(told, [false, true])
      isUp = true
      yield* life.live
      assert.deepStrictEqual(told, [false, true, true])
      assert.deepStrictEqual(life.intents(), [])
    })
  )

  it.effect("forgets an intent whose call was refused for good: nothing was applied", () =>
    Effect.gen(function* () {
      const told: Array<boolean> = []
      const life = lifeOf(({ once }) =>
        once("createRun", {}, (isUncertain) => {
          told.push(isUncertain)
          return told.length === 1 ? poison("service", "bad name") : Effect.void
        })
      )
      yield* life.record
      yield* life.live
      assert.deepStrictEqual(told, [false, false])
    })
  )

  it.effect("gives a blob a piece at a time, and says when it is gone", () =>
    Effect.gen(function* () {
      const bytes = Uint8Array.from({ length: 700_000 }, (_, i) => i % 251)
      const sizes: Array<number> = []
      const codes: Array<string> = []
      const life = lifeOf(({ blob }) =>
        Effect.gen(function* () {
          const pieces = yield* Stream.runCollect(blob("sha256:aa"))
          sizes.push(...pieces.map(({ length }) => length))
          assert.deepStrictEqual(Uint8Array.from(pieces.flatMap((piece) => [...piece])), bytes)
          yield* Effect.catch(Stream.runDrain(blob("sha256:bb")), ({ code }) => Effect.sync(() => codes.push(code)))
        }).pipe(Effect.mapError((error) => transient("service", error.message)))
      )
      life.files.set(`d/runs/${run}/blobs/aa`, bytes)
      yield* life.record
      yield* life.live
      assert.deepStrictEqual(sizes, [262_144, 262_144, 175_712])
      assert.deepStrictEqual(codes, ["ENOENT"])
    })
  )

  it.effect("knows what another run of the folder is called there, once it has been opened", () =>
    Effect.gen(function* () {
      const names: Array<string | null> = []
      const life = lifeOf(({ remoteOf }) =>
        Effect.flatMap(Effect.all([remoteOf(run), remoteOf(RunId.make("other"))]), (found) =>
          Effect.sync(() => void names.push(...found))
        )
      )
      yield* life.record
      yield* life.live
      yield* life.live
      assert.deepStrictEqual(names, [null, null, "remote-1", null])
    })
  )
})
