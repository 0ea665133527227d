/**
 * The local store as a plugin: `Local.plugin()` in an app, `backend.local` in a journal.
 */
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
      Effect.map(Journal, (journal) =>
        LocalBackend.layer({ file: file === undefined ? fileOf(journal) : resolve(file) })
      )
    )
})

/**
 * Where the store of a folder lies when nothing else is configured; `LocalReader.layer` takes the same path. With a journal in memory
 * the store is in memory too.
 */
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
