/**
 * Removes runs: their folders and their rows in the store, and nothing that a service was sent. What stands against it is found first and for
 * all of them, so that either all go or none. While it works it holds each run's `delivery.lock`: no agent is at work in it.
 */
import * as Effect from "effect/Effect"
import { LocalReader } from "@tracelet/backend-local/LocalReader"
import { LocalStore } from "@tracelet/backend-local/LocalStore"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Run from "@tracelet/core/Run"
import * as RunFolder from "@tracelet/core/RunFolder"
import type { RunJournal } from "@tracelet/core/RunJournal"
import { storeId } from "./CatchUp.ts"
import { CommandError } from "./Failure.ts"
import * as Format from "./Format.ts"
import type { Current } from "./Frame.ts"
import type * as Output from "./Output.ts"
import * as Report from "./Report.ts"
import { take } from "./TakeRun.ts"
import * as Text from "./Text.ts"

/** A run that is to go. */
export interface Doomed {
  readonly about: Output.RemovedRun
  /** `undefined` where the store is all that is left of it. */
  readonly run: RunJournal | undefined
}

/** `baseline (aa110000)` */
export const called = ({ name, id }: Output.RemovedRun): string => `${Text.printable(name)} (${id.slice(0, 8)})`

/** What would be lost with a run, in words; empty when all of it was delivered. */
export const losses = ({ lost, deadLetter }: Output.RemovedRun): string =>
  [
    ...Object.entries(lost).map(([name, count]) => `${Format.plural(count, "event")} not delivered to ${name}`),
    ...(deadLetter > 0 ? [`${Format.plural(deadLetter, "event")} that a backend refused`] : [])
  ].join(", ")

/** The runs with all that is known of them; fails for the first that may not be removed. */
export const judge = ({ known, ids, agent }: Current, isForced: boolean) =>
  Effect.gen(function* () {
    const reports = yield* Report.reports(ids, known, agent)
    const journal = yield* Journal
    const doomed: Array<Doomed> = []
    for (const id of ids) {
      const run = known.journals.get(id)
      const report = reports.find((one) => one.id === id)
      const read = run === undefined ? undefined : yield* Effect.result(run.started)
      const started = read?._tag === "Success" ? read.success : undefined
      const services = started?.backends.filter(({ plugin }) => plugin !== storeId) ?? []
      const lost: Array<readonly [string, number]> = []
      for (const { name } of services) {
        const pending = report?.backends[name]?.pending ?? 0
        if (pending > 0) lost.push([name, pending])
      }
      const about: Output.RemovedRun = {
        id,
        project: report?.project ?? Run.defaultProject,
        name: report?.name ?? Run.defaultName(id),
        points: report?.points ?? 0,
        bytes: yield* journal.storage.folderBytes(RunFolder.path(journal, id)),
        deadLetter: Object.values(report?.backends ?? {}).reduce((sum, { deadLetter }) => sum + deadLetter, 0),
        lost: Object.fromEntries(lost)
      }
      yield* refuseLiving(about, run, isForced)
      if (!isForced && read?._tag === "Failure") return yield* unreadable(about, read.failure.message)
      if (!isForced && report === undefined) return yield* unreadable(about, "it has no readable record of its start")
      if (!isForced && lost.length > 0) return yield* undelivered(about)
      doomed.push({ about, run })
    }
    return doomed
  })

/** Removes all of them. Fails before anything is gone when one of them is in use, or lives after all. */
export const remove = (doomed: ReadonlyArray<Doomed>, isForced: boolean) =>
  Effect.gen(function* () {
    const journal = yield* Journal
    yield* Effect.scoped(
      Effect.gen(function* () {
        for (const { about, run } of doomed) {
          if (run === undefined) continue
          yield* take(run, called(about))
          yield* refuseLiving(about, run, isForced)
        }
        for (const one of doomed) {
          // Rows first: should it stop here, the journals still have all of them.
          if ((yield* (yield* LocalReader).confirmed(one.about.id)) !== undefined) {
            yield* (yield* LocalStore).forget(one.about.id)
          }
          if (one.run !== undefined) yield* attempt(RunFolder.hide(journal, one.about.id))
        }
      })
    )
    // What an earlier command could not finish goes with it.
    yield* attempt(RunFolder.removeHidden(journal))
  })

const refuseLiving = (about: Output.RemovedRun, run: RunJournal | undefined, isForced: boolean) =>
  Effect.gen(function* () {
    if (run === undefined) return
    // Of a journal that cannot be read the locks still say whether somebody writes it.
    const status = yield* Effect.flatMap(run.writersNow, (writers) => run.standing(writers)).pipe(
      Effect.map((standing) => standing.status),
      Effect.catch(() => Effect.map(isLocked(run), (held) => (held ? "running" : "killed")))
    )
    if (status === "running") {
      return yield* new CommandError({
        tag: "RunRunning",
        message: `Run ${called(about)} is running.`,
        hint: "Stop its training first; --force does not change that."
      })
    }
    if (status === "stale" && !isForced) {
      return yield* new CommandError({
        tag: "RunStale",
        message: `Run ${called(about)} may be running on another host: from here that cannot be known.`,
        hint: "When you know that it is over, --force removes it."
      })
    }
  })

/** Whether one of the locks of the run's writers is held. */
const isLocked = (run: RunJournal): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    const { storage } = run
    const journal = storage.join(run.folder, "journal")
    const names = yield* Effect.orElseSucceed(storage.list(journal), () => [])
    const locks = names.filter((name) => name.endsWith(".lock"))
    const states = yield* Effect.forEach(locks, (name) => storage.probe(storage.join(journal, name)))
    return states.some((state) => state === "held")
  })

const unreadable = (about: Output.RemovedRun, reason: string) =>
  new CommandError({
    tag: "RunUnreadable",
    message: `What would be lost with run ${called(about)} is not known: ${reason}`,
    hint: "--force removes it all the same."
  })

const undelivered = (about: Output.RemovedRun) =>
  new CommandError({
    tag: "Undelivered",
    message: `Run ${called(about)} has ${losses({ ...about, deadLetter: 0 })}.`,
    hint: "`tracelet sync` delivers what can be delivered; with --force it is lost."
  })

const attempt = (work: Effect.Effect<void, StorageError>): Effect.Effect<void, CommandError> =>
  Effect.mapError(
    work,
    ({ message }) =>
      new CommandError({
        tag: "NotRemoved",
        message: `Could not remove a run's files: ${message}`,
        hint: "When that is put right, run the command again."
      })
  )
