/**
 * The local store as a plugin: `Local.plugin()` in an app, `backend.local` in a journal.
 */
import { homedir, tmpdir, userInfo } from "node:os"
import { join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Journal } from "@tracelet/core/Journal"
import * as Plugin from "@tracelet/core/Plugin"
import { id } from "./internal/failures.ts"
import { memory } from "./internal/openStore.ts"
import * as LocalBackend from "./LocalBackend.ts"
import { LocalConfig } from "./LocalConfig.ts"

/** Name of the database in the journal's folder. */
export const fileDefault = "store.db"

/** What lists of plugins hold. */
export const manifest = Plugin.make({
  id,
  kind: "backend",
  version: "0.1.0",
  stability: "beta",
  description: "Keeps runs in an embedded SQLite database, which the CLI and the UI read.",
  config: LocalConfig,
  layer: ({ file }) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const journal = yield* Journal
        return LocalBackend.layer({ file: file === undefined ? yield* fileFor(journal) : resolve(file) })
      })
    )
})

/**
 * Where the store of a folder lies when nothing else is configured; `LocalReader.layer` takes the same path. Beside the journals; of a folder on
 * a network file system, where SQLite's write-ahead log does not work and two hosts would share it, in the user's cache, one for each host and
 * folder; and where that is on such a file system too, in the temporary folder. With a journal in memory the store is in memory too.
 */
export const fileFor = (
  journal: Pick<Journal["Service"], "folder" | "isInMemory" | "storage">,
  env: { readonly [name: string]: string | undefined } = process.env
): Effect.Effect<string> =>
  Effect.gen(function* () {
    const { storage, folder, isInMemory } = journal
    // Without a mount table nothing can be told: then it lies where everybody looks.
    const isLocal = (path: string) => Effect.orElseSucceed(storage.isLocal(path), () => true)
    if (isInMemory || (yield* isLocal(folder))) return fileOf(journal)
    const home = env["XDG_CACHE_HOME"] ?? ""
    const cache = join(home === "" ? join(homedir(), ".cache") : home, "tracelet")
    const own = join(tmpdir(), `tracelet-${userInfo().uid}`)
    const host = storage.host.name.replaceAll(/[^A-Za-z0-9._-]/g, "_")
    const name = `${host}-${(yield* storage.sha256(new TextEncoder().encode(folder))).slice(0, 16)}`
    const place = join((yield* isLocal(cache)) ? cache : own, "stores", name)
    yield* Effect.ignore(storage.makeFolder(place))
    return join(place, fileDefault)
  })

/** The same for a folder on a local file system. */
export const fileOf = (journal: Pick<Journal["Service"], "folder" | "isInMemory">): string =>
  journal.isInMemory ? memory : join(journal.folder, fileDefault)

/**
 * The store with its config, to be put into `Tracelet.layer({ backends: { … } })`.
 *
 * @example
 * ```ts
 * import * as Local from "@tracelet/backend-local"
 *
 * const backends = { local: Local.plugin() }
 * ```
 */
export const plugin = manifest.plugin
