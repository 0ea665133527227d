/**
 * Folders of runs that never began: a trainer was killed between making its folder and its first segment. There is nothing in them to list,
 * to deliver or to lose; what is left there is at most a lock, a temporary file, and a payload that no record refers to.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunId } from "@tracelet/core/Run"

/** How long nothing must have changed in the journal's folder: a writer that begins needs milliseconds, and one that waits for room holds its lock. */
const ageMin = Duration.toMillis(Duration.hours(1))

/** Of a folder that never held more: a run that was delivered also has cursors. */
const ownNames = new Set(["journal", "blobs", "delivery.lock"])

/** A name that readers pass over (journal.md J1.2); `tracelet rm` removes what is left under such a name as well. */
const awayPrefix = ".removed-"

/** Whether the run has no segment: it has not begun, or never did. */
export const isEmpty = (run: RunId): Effect.Effect<boolean, StorageError, Journal> =>
  Effect.flatMap(Journal, ({ writerIds }) => Effect.map(writerIds(run), (writers) => writers.size === 0))

/** Removes those that nobody holds and in which nothing has changed for an hour. Returns how many; what cannot be removed stays. */
export const sweep: Effect.Effect<number, StorageError, Journal> = Effect.gen(function* () {
  const { folder, runs } = yield* Journal
  let removed = 0
  for (const run of yield* runs) {
    if (!(yield* isAbandoned(run))) continue
    const away = join(folder, "runs", `${awayPrefix}${run}`)
    // In one step, so that a writer that comes back to it after all finds all of it or nothing, and makes it anew.
    yield* Effect.tryPromise(() => rename(join(folder, "runs", run), away)).pipe(
      Effect.andThen(Effect.tryPromise(() => rm(away, { recursive: true, force: true }))),
      Effect.andThen(Effect.sync(() => void removed++)),
      Effect.ignore
    )
  }
  return removed
})

const isAbandoned = (run: RunId) =>
  Effect.gen(function* () {
    const { folder, storage } = yield* Journal
    const own = join(folder, "runs", run)
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
