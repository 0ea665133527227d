/** After a reboot nobody holds a lock, whatever boot the journals name: their writers are over, and the rest is delivered. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { describe } from "vitest"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { deliver } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import * as Recording from "./support/RecordingBackend.ts"

const run = RunId.make("0123456789abcdef")
const started = {
  _tag: "RunStarted",
  time: 1,
  run: { id: run, project: "p", name: "n", tags: {} },
  backends: [],
  client: { language: "typescript", version: "", tracelet: "" }
} as const

const over = (storage: JournalStorage["Service"]) =>
  Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, storage)))

/** Delivers for a while, and says how the lane and the run stand. */
const deliverFor = (recording: ReturnType<typeof Recording.make>) =>
  Effect.gen(function* () {
    const opened = yield* (yield* Journal.Journal).open(run)
    yield* opened.writersNow
    const target = { backend: recording.backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
    const delivery = yield* deliver(opened, started, new Map([["service", target]]))
    if (delivery === undefined) return yield* Effect.die("somebody else delivers it")
    yield* delivery.settled
    const { status } = yield* delivery.standing
    return { status, state: (yield* delivery.backends).get("service")?.state }
  }).pipe(Effect.scoped)

describe("after a reboot", () => {
  it.live("J8.4, J10.1: a run without an end is killed, delivered once and closed, a child of it too", () =>
    Effect.gen(function* () {
      const before = makeMemory({ host: { name: "h", boot: "one", pid: 1 } })
      const recording = Recording.make()
      // Everybody lives until the power goes: no scope is ever closed in order.
      const life = yield* Scope.make()
      yield* Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const writer = yield* journal.write({ run, role: "primary" })
        writer.event(started)
        for (let i = 0; i < 30; i++) writer.point("loss", i, i, undefined, 1)
        yield* writer.flush
        const child = yield* journal.write({ run, role: "child", of: writer.id })
        for (let i = 0; i < 5; i++) child.point("child", i, i, undefined, 2)
        yield* child.flush
        assert.deepStrictEqual(yield* deliverFor(recording), { status: "running", state: "idle" })
        for (let i = 30; i < 40; i++) writer.point("loss", i, i, undefined, 1)
        yield* writer.flush
      }).pipe(Effect.provide(over(before.storage)), Scope.provide(life))
      const found = new Map([...before.files].map(([path, bytes]) => [path, bytes.slice()]))
      assert.strictEqual([...found.keys()].filter((path) => /journal\/.*\.lock$/.test(path)).length, 2)
      yield* Scope.close(life, Exit.void)

      const after = makeMemory({ host: { name: "h", boot: "two", pid: 1 } })
      found.forEach((bytes, path) => after.files.set(path, bytes))
      for (const folder of ["cursors", "journal"]) yield* after.storage.makeFolder(`d/runs/${run}/${folder}`)
      assert.deepStrictEqual(yield* Effect.provide(deliverFor(recording), over(after.storage)), {
        status: "killed",
        state: "done"
      })
      assert.deepStrictEqual(
        recording.points.filter(({ name }) => name === "loss").map(({ step }) => step),
        Array.from({ length: 40 }, (_, i) => i)
      )
      assert.strictEqual(recording.points.length, 45)
      assert.deepStrictEqual(
        recording.closed.map(({ status }) => status),
        ["killed"]
      )
    })
  )
})
