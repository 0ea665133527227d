/**
 * A run's folder as a whole: where it is, and how it goes. It goes in one step, since half a run would look like a damaged one: under a name
 * that readers do not see (journal.md J1.2), and then file by file. What lies in it is `RunJournal`'s business.
 */
import * as Effect from "effect/Effect"
import type { Journal } from "./Journal.ts"
import type { StorageError } from "./JournalStorage.ts"

const hiddenPrefix = ".removed-"

export const path = ({ folder, storage }: Journal["Service"], run: string): string => storage.join(folder, "runs", run)

/** From here on the run is gone, after a power cut too. Its files are there until `removeHidden`. */
export const hide = (journal: Journal["Service"], run: string): Effect.Effect<void, StorageError> =>
  Effect.andThen(
    journal.storage.rename(path(journal, run), path(journal, `${hiddenPrefix}${run}`)),
    journal.storage.syncFolder(journal.storage.join(journal.folder, "runs"))
  )

/** The files of all runs that were hidden, by an earlier process too. */
export const removeHidden = (journal: Journal["Service"]): Effect.Effect<void, StorageError> =>
  Effect.flatMap(journal.storage.list(journal.storage.join(journal.folder, "runs")), (names) =>
    Effect.forEach(
      names.filter((name) => name.startsWith(hiddenPrefix)),
      (name) => journal.storage.removeFolder(path(journal, name)),
      { discard: true }
    )
  )
