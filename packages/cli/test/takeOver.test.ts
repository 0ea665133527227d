/** `sync --take-over` and `--watch`, and what a host does with runs of another one. That nothing is lost or doubled by it is core's `takeOver.test.ts`. */
import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import { JournalStorage } from "@tracelet/core/JournalStorage"
import { RunId } from "@tracelet/core/Run"
import { layer as nodeStorage } from "@tracelet/platform-node/NodeJournalStorage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { describe } from "vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Lookup from "../src/Lookup.ts"
import * as SyncRuns from "../src/SyncRuns.ts"
import * as Workspace from "../src/Workspace.ts"
import { until } from "./agentProcess.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, writeEnded } from "./support/runs.ts"

const id = "aa11".padEnd(32, "0")

/** A host that sees the folder over a network. */
const onNetwork = (name: string, cache: string) =>
  Layer.effect(
    JournalStorage,
    Effect.map(JournalStorage, (storage) =>
      JournalStorage.of({
        ...storage,
        host: { name, boot: `boot of ${name}`, pid: 1 },
        isLocal: (path) => Effect.succeed(path.startsWith(cache))
      })
    )
  ).pipe(Layer.provide(nodeStorage))

describe("a folder on a network file system", () => {
  it.live(
    "J7.4, J10.1: is read by every host into a store of its own, beside no cursor but its own, and its end is known",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryFolder
        const cache = join(home, "cache")
        const dir = join(home, "net")
        const before = process.env["XDG_CACHE_HOME"]
        yield* Effect.acquireRelease(
          Effect.sync(() => void (process.env["XDG_CACHE_HOME"] = cache)),
          () =>
            Effect.sync(() => {
              if (before === undefined) delete process.env["XDG_CACHE_HOME"]
              else process.env["XDG_CACHE_HOME"] = before
            })
        )
        yield* writeEnded(dir, { id, backends: [local, missing], log: training })
        for (const name of ["login", "desk"]) {
          const { results } = yield* Effect.gen(function* () {
            const known = yield* Lookup.known
            const progress = new SyncRuns.Progress()
            const timeout = Duration.seconds(10)
            return yield* SyncRuns.sync({
              known,
              wanted: id,
              agent: { state: "none" },
              timeout,
              progress,
              isArchiving: true,
              takesOver: () => false
            })
          }).pipe(
            Effect.scoped,
            Effect.provide(Layer.provide(Workspace.layerAt({ dir, how: "test" }), onNetwork(name, cache)))
          )
          assert.strictEqual(results[0]?.status, "finished")
          assert.deepInclude(results[0]?.backends["local"], { delivered: 4_801, pending: 0 })
          assert.isFalse(existsSync(join(dir, "runs", id, "cursors", "local.json")))
        }
        assert.isFalse(existsSync(join(dir, "store.db")))
        const stores = readdirSync(join(cache, "tracelet", "stores"))
        assert.deepStrictEqual(
          stores.toSorted((a, b) => (a < b ? -1 : 1)).map((store) => store.split("-")[0]),
          ["desk", "login"]
        )
        // A backend of it has not confirmed it: it is not archived.
        assert.isTrue(readdirSync(join(dir, "runs", id, "journal")).some((name) => name.endsWith(".tlj")))
      }).pipe(Effect.scoped)
  )
})

describe("tracelet sync", () => {
  it.live("J7.4: --take-over takes nothing where locks decide, and delivers as ever", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryFolder
      yield* writeEnded(dir, { id, log: training })
      const { code, out } = yield* tracelet(dir, ["sync", "--take-over", "--json", "--dir", "."])
      assert.strictEqual(code, 0)
      assert.isTrue(JSON.parse(out).drained)
      const cursor = JSON.parse(readFileSync(join(dir, "runs", id, "cursors", "local.json"), "utf8"))
      assert.deepStrictEqual([cursor.epoch, cursor.closed, "takeOvers" in cursor], [0, true, false])
    }).pipe(Effect.scoped)
  )

  it.live("--watch delivers what comes later, until it is interrupted", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryFolder
      yield* writeEnded(dir, { id, log: training })
      const watching = yield* Effect.forkChild(tracelet(dir, ["sync", "--watch", "--dir", "."]))
      const isClosed = (run: string) =>
        Effect.gen(function* () {
          const opened = yield* (yield* Journal.Journal).open(RunId.make(run))
          const cursor = yield* opened.cursor("local")
          return cursor !== undefined && cursor !== "damaged" && cursor.closed
        }).pipe(Effect.scoped, Effect.provide(Layer.provide(Journal.layerFile({ dir }), nodeStorage)))
      yield* until(isClosed(id))
      const later = "bb22".padEnd(32, "0")
      yield* writeEnded(dir, { id: later, name: "later", log: training })
      yield* until(isClosed(later))
      assert.isTrue(yield* isClosed(later))
      assert.isUndefined(watching.pollUnsafe())
      yield* Fiber.interrupt(watching)
    }).pipe(Effect.scoped)
  )
})
