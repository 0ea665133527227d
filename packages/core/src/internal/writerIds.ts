/**
 * Who wrote a run, for those who look at every run of a folder again and again: one listing, and the index of an archive once.
 */
import * as Effect from "effect/Effect"
import type { JournalStorage, StorageError } from "../JournalStorage.ts"
import { generationsOf, readNewest } from "./newestArchive.ts"
import { parseFileName } from "./segment.ts"

/** Archives that are remembered; the oldest is read again. */
const archivesMax = 4_096

/** How often it is tried again when an archive is replaced meanwhile. */
const attemptsMax = 5

export class WriterIds {
  private readonly storage: JournalStorage["Service"]
  /** By run. */
  private readonly archived = new Map<string, { readonly generation: number; readonly ids: ReadonlyArray<string> }>()

  constructor(storage: JournalStorage["Service"]) {
    this.storage = storage
  }

  /** Ids of the writers that have a segment in `folder`, in a file or in the archive. */
  of(run: string, folder: string, left = attemptsMax): Effect.Effect<ReadonlySet<string>, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const names = yield* this.storage.list(folder)
      const ids = names.map((name) => parseFileName(name)?.writer).filter((id) => id !== undefined)
      const generation = generationsOf(names)[0]
      return new Set(
        generation === undefined ? ids : [...ids, ...(yield* this.inArchive(run, folder, generation, names))]
      )
    }).pipe(
      Effect.catch((error) =>
        error.code === "ENOENT" && left > 0 ? this.of(run, folder, left - 1) : Effect.fail(error)
      )
    )
  }

  private inArchive(run: string, folder: string, generation: number, names: ReadonlyArray<string>) {
    return Effect.gen({ self: this }, function* () {
      const known = this.archived.get(run)
      if (known?.generation === generation) return known.ids
      const { contents } = yield* readNewest(this.storage, folder, names, run)
      const ids = [...contents.writers.keys()]
      this.archived.delete(run)
      this.archived.set(run, { generation, ids })
      for (const oldest of this.archived.keys()) {
        if (this.archived.size <= archivesMax) break
        this.archived.delete(oldest)
      }
      return ids
    })
  }
}
