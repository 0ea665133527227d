import { existsSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Backend } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import { JournalStorage, layerMemory } from "@tracelet/core/JournalStorage"
import * as Local from "@tracelet/backend-local"
import { openRun } from "./batches.ts"
import { temporary } from "./temporary.ts"

describe("Local.plugin", () => {
  it.effect("needs no config, and keeps the store of a journal in memory in memory", () =>
    Effect.gen(function* () {
      const { layer } = Local.plugin()
      const backend = Context.get(yield* Layer.build(Layer.provide(layer, Journal.layerMemory)), Backend)
      const run = yield* backend.open(openRun())
      assert.isFalse((yield* run.confirmed ?? Effect.die("no marks")).closed)
      assert.isFalse(existsSync(":memory:"))
    }).pipe(Effect.scoped)
  )

  it.effect("keeps the store where the config says", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "elsewhere.db")
      const { layer } = Local.plugin({ file })
      const backend = Context.get(yield* Layer.build(Layer.provide(layer, Journal.layerMemory)), Backend)
      yield* backend.open(openRun())
      assert.isTrue(existsSync(file))
    }).pipe(Effect.scoped)
  )

  it("names the store of a folder, for the reader to find", () => {
    assert.strictEqual(
      Local.LocalPlugin.fileOf({ folder: "/data/.tracelet", isInMemory: false }),
      join("/data/.tracelet", "store.db")
    )
  })

  it.effect("S1.3: lies on this host where the folder is on a network file system, one for each host and folder", () =>
    Effect.gen(function* () {
      const storage = yield* JournalStorage
      const at = (folder: string, cache: string, remote: ReadonlyArray<string>) =>
        Local.LocalPlugin.fileFor(
          {
            folder,
            isInMemory: false,
            storage: {
              ...storage,
              host: { name: "some/host", boot: "b", pid: 1 },
              isLocal: (path) => Effect.succeed(!remote.some((one) => path.startsWith(one)))
            }
          },
          { XDG_CACHE_HOME: cache }
        )
      assert.strictEqual(yield* at("/data/.tracelet", "/cache", []), "/data/.tracelet/store.db")
      const one = yield* at("/net/a", "/cache", ["/net"])
      assert.match(one, /^\/cache\/tracelet\/stores\/some_host-[0-9a-f]{16}\/store\.db$/)
      assert.notStrictEqual(yield* at("/net/b", "/cache", ["/net"]), one)
      assert.strictEqual(yield* at("/net/a", "/cache", ["/net"]), one)
      const nowhere = yield* at("/net/a", "/net/cache", ["/net"])
      assert.match(nowhere, /\/tracelet-\d+\/stores\/some_host-/)
      assert.isFalse(nowhere.startsWith("/net"))
    }).pipe(Effect.provide(layerMemory))
  )

  it.effect("refuses a config it does not know, by path", () =>
    Effect.gen(function* () {
      for (const config of [{ file: "" }, { file: 3 }, { path: "x" }]) {
        const { layer } = Local.LocalPlugin.manifest.fromUnknown(config)
        const refused = yield* Effect.flip(Layer.build(Layer.provide(layer, Journal.layerMemory)))
        assert.strictEqual(refused._tag, "PluginConfigError")
        assert.include(refused.message, Object.keys(config)[0] ?? "")
      }
    }).pipe(Effect.scoped)
  )
})
