/**
 * When the segments of a run are rewritten as one archive (journal.md §11): nobody adds to them any more, and every backend has confirmed
 * all of them, and all that was derived of them. Derived journals stay as they are. How it is done is `internal/archiver.ts`'s.
 */
import * as Effect from "effect/Effect"
import type { Journal } from "./Journal.ts"
import type { StorageError } from "./JournalStorage.ts"
import type { RunId } from "./Run.ts"
import type { RunJournal } from "./RunJournal.ts"
import { parseFileName } from "./internal/segment.ts"

/**
 * - `Archived`: how many segments were taken in, and the bytes of those files and of the archive.
 * - `Unchanged`: all of the run is in an archive, or there is nothing of it.
 * - `NotYet`: why it stays as it is, for people.
 */
export type Outcome =
  | {
      readonly _tag: "Archived"
      readonly segments: number
      readonly bytesBefore: number
      readonly bytesAfter: number
    }
  | { readonly _tag: "Unchanged" }
  | { readonly _tag: "NotYet"; readonly reason: string }

/** Whether some segment of the run is in a file of its own: one listing. */
export const isWanted = (journal: Journal["Service"], run: RunId): Effect.Effect<boolean, StorageError> =>
  Effect.map(journal.storage.list(journal.storage.join(journal.folder, "runs", run, "journal")), (names) =>
    names.some((name) => parseFileName(name) !== undefined)
  )

/** Archives `run` if that may be done now. The caller holds its `delivery.lock` (J11.2). */
export const archive = (run: RunJournal): Effect.Effect<Outcome, StorageError> =>
  Effect.gen(function* () {
    const reason = yield* obstacle(run)
    if (reason !== undefined) return { _tag: "NotYet", reason }
    const { segments, bytesBefore, bytesAfter } = yield* run.archive
    return segments === 0 ? { _tag: "Unchanged" } : { _tag: "Archived", segments, bytesBefore, bytesAfter }
  })

/** Why a run is not over and confirmed by all, or `undefined` when it is. Backends are those it was recorded with, and those with a cursor. */
export const obstacle = (run: RunJournal): Effect.Effect<string | undefined, StorageError> =>
  Effect.gen(function* () {
    const writers = yield* run.writersNow
    const alive = writers.filter(({ isOver }) => !isOver)
    if (alive.length > 0) {
      return alive.some(({ life }) => life === "alive")
        ? "it is still written to"
        : "whether it is over cannot be known from here"
    }
    const started = yield* run.started
    const cursors = yield* run.cursors
    const derived = yield* run.derived
    const names = new Set([...(started?.backends.map(({ name }) => name) ?? []), ...cursors.keys()])
    if (names.size === 0) return "it names no backend, and none has confirmed it"
    for (const name of names) {
      const cursor = cursors.get(name)
      if (cursor === "damaged") return `the cursor of ${name} is damaged`
      if (cursor?.closed !== true || writers.some(({ id }) => cursor.writers[id] === undefined)) {
        return `${name} has not confirmed all of it`
      }
      const isBehind = derived.some(({ id, committed }) =>
        [...(committed?.values() ?? [])].some((end) => (cursor.writers[id]?.position ?? 0) < end)
      )
      if (isBehind) return `${name} has not confirmed all that was derived of it`
    }
    return undefined
  })
