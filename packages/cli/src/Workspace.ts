/**
 * The folder a command looks at, and what reads it: its journals, its store and the store's writer for catching up. One layer, built when
 * a command needs it; building it touches no disk but to find the folder.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileFor } from "@tracelet/backend-local/LocalPlugin"
import * as LocalReader from "@tracelet/backend-local/LocalReader"
import * as LocalStore from "@tracelet/backend-local/LocalStore"
import { JournalStorage, type StorageError } from "@tracelet/core/JournalStorage"
import * as Journal from "@tracelet/core/Journal"
import * as Folder from "@tracelet/platform-node/Folder"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { resolve } from "node:path"
import { Session } from "./Session.ts"

/** Where the runs are, absolutely, and how it was found: text that completes "found by …". */
export class Place extends Context.Service<Place, { readonly dir: string; readonly how: string }>()(
  "@tracelet/cli/Place"
) {}

export type Workspace = Place | Journal.Journal | LocalReader.LocalReader | LocalStore.LocalStore

/** `given` is `--dir`; without it TRACELET_DIR and the working directory decide (journal.md J1.3). */
export const place = (given: string | undefined): Effect.Effect<Place["Service"], never, Session> =>
  Effect.gen(function* () {
    const { cwd, env } = yield* Session
    if (given !== undefined) return { dir: resolve(cwd, given), how: "--dir" }
    const dir = yield* Folder.resolve(cwd, env)
    const isFromEnvironment = env["TRACELET_DIR"] !== undefined && env["TRACELET_DIR"] !== ""
    return { dir, how: isFromEnvironment ? "TRACELET_DIR" : "the working directory" }
  })

export const layer = (given: string | undefined): Layer.Layer<Workspace, StorageError, Session> =>
  Layer.unwrap(Effect.map(place(given), (found) => layerAt(found).pipe(Layer.provide(NodePlatform.layer))))

/** The same for a folder that is known, on any storage. */
export const layerAt = (found: Place["Service"]): Layer.Layer<Workspace, StorageError, JournalStorage> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const file = yield* fileFor({ folder: found.dir, isInMemory: false, storage: yield* JournalStorage })
      return Layer.mergeAll(
        Layer.succeed(Place, found),
        Journal.layerFile({ dir: found.dir }),
        LocalReader.layer({ file }),
        LocalStore.layer({ file })
      )
    })
  )

/** Stands for a store that cannot be read, until the command ends. */
export const storeInMemory: Layer.Layer<LocalReader.LocalReader | LocalStore.LocalStore> = LocalReader.layerStore.pipe(
  Layer.provideMerge(LocalStore.layer({ file: ":memory:" }))
)
