/**
 * Folders of runs that never began: a trainer was killed between making its folder and its first segment. There is nothing in them to list,
 * to deliver or to lose; what is left there is at most a lock, a temporary file, and a payload that no record refers to.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunId } from "@tracelet/core/Run"
import * as RunFolder from "@tracelet/core/RunFolder"

/** How long nothing must have changed in the journal's folder: a writer that begins needs milliseconds, and one that waits for room holds its lock. */
const ageMin = Duration.toMillis(Duration.hours(1))

/** Of a folder that never held more: a run that was delivered also has cursors. */
const ownNames = new Set(["journal", "blobs", "delivery.lock"])

/** Whether the run has no segment: it has not begun, or never did. */
export const isEmpty = (run: RunId): Effect.Effect<boolean, never, Journal> =>
  Effect.gen(function* () {
    const journal = yield* Journal
    if ((yield* journal.writerIds(run)).size > 0) return false
    // An archive of which no segment is left is one of something all the same.
    const names = yield* namesIn(join(RunFolder.path(journal, run), "journal"))
    return !names.some((name) => name.endsWith(".tla"))
  }).pipe(
    // What cannot be read, an archive or a folder, is one of something (journal.md J11.6).
    Effect.orElseSucceed(() => false)
  )

/** Removes those that nobody holds and in which nothing has changed for an hour. Returns how many; what cannot be removed stays. */
export const sweep: Effect.Effect<number, StorageError, Journal> = Effect.gen(function* () {
  const journal = yield* Journal
  const abandoned = yield* Effect.filter(yield* journal.runs, (run) =>
    Effect.orElseSucceed(isAbandoned(run), () => false)
  )
  // A writer that comes back after all finds all of it or nothing, and makes it anew.
  const hidden = yield* Effect.filter(abandoned, (run) => Effect.isSuccess(RunFolder.hide(journal, run)))
  if (hidden.length > 0) yield* Effect.ignore(RunFolder.removeHidden(journal))
  return hidden.length
})

const isAbandoned = (run: RunId) =>
  Effect.gen(function* () {
    const service = yield* Journal
    const { storage } = service
    const own = RunFolder.path(service, run)
    if (!(yield* namesIn(own)).every((name) => ownNames.has(name))) return false
    const journal = join(own, "journal")
    const names = yield* namesIn(journal)
    if (!names.every((name) => name.endsWith(".lock") || name.endsWith(".tmp"))) return false
    const changedAt = yield* Effect.promise(() =>
      stat(names.length === 0 ? own : journal).then(
        ({ mtimeMs }) => mtimeMs,
        () => Infinity
      )
    )
    if ((yield* Clock.currentTimeMillis) - changedAt < ageMin) return false
    const locks = names.filter((name) => name.endsWith(".lock"))
    return yield* Effect.map(
      Effect.forEach(locks, (name) => storage.probe(join(journal, name))),
      (states) => states.every((state) => state === "free")
    )
  })

const namesIn = (folder: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(() => readdir(folder).catch(() => []))
