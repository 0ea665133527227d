/**
 * Who has written a run, asked in the two ways a command needs: by name for next to nothing, and with a look at their locks.
 */
import * as Effect from "effect/Effect"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunJournal, Writer } from "@tracelet/core/RunJournal"

/** Ids of the writers that have a segment: one listing, no file is opened. */
export const ids = (run: string): Effect.Effect<ReadonlySet<string>, StorageError, Journal> =>
  Effect.gen(function* () {
    const { folder, storage } = yield* Journal
    const names = yield* storage.list(storage.join(folder, "runs", run, "journal"))
    return new Set(names.filter((name) => name.endsWith(".tlj")).map((name) => name.slice(0, name.indexOf("."))))
  })

/** The writers, and whether they live, as of now. */
export const now = (run: RunJournal): Effect.Effect<ReadonlyArray<Writer>, StorageError> =>
  // The first look meets them, and only who was met can be asked.
  Effect.andThen(run.writers, run.writersNow)
