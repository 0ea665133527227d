/**
 * Brings the local store up to date with the journals before a command reads it: the store is a cache, and whoever looks first fills it.
 * A lane to the store alone reads what is there; no other backend hears of it. For a run that is over and in the store all of this costs
 * one listing and one row.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { MinimumLogLevel } from "effect/References"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import * as LocalPlugin from "@tracelet/backend-local/LocalPlugin"
import { LocalReader, type RunRow } from "@tracelet/backend-local/LocalReader"
import type { LocalStore } from "@tracelet/backend-local/LocalStore"
import type { Backend } from "@tracelet/core/Backend"
import type { BackendError } from "@tracelet/core/BackendError"
import { noCounts, type Counts } from "@tracelet/core/Cursor"
import type { Target } from "@tracelet/core/Delivery"
import { keeping } from "@tracelet/core/Derivation"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Pipeline from "@tracelet/core/Pipeline"
import type { RunId } from "@tracelet/core/Run"
import type { RunStarted } from "@tracelet/core/RunEvent"
import type { RunJournal } from "@tracelet/core/RunJournal"
import * as Distribution from "./Distribution.ts"
import * as Format from "./Format.ts"

/** Longest time a command spends on the store before it shows what is there. */
const catchUpMax = Duration.seconds(10)

/** How long another process that delivers a run is waited for. It may be the trainer's own, and busy. */
const othersMax = Duration.seconds(1)
const othersPoll = Duration.millis(50)

const troublePoll = Duration.millis(100)

/** Runs caught up at once: the store takes one transaction after another, but looking at the locks of the living takes 150 ms each. */
const concurrency = 8

/** Id of the plugin whose data is what commands read. */
export const storeId = LocalPlugin.manifest.id

/** Why the store cannot be read, where one in memory stands for it. */
export const StoreTrouble = Context.Reference<string | undefined>("@tracelet/cli/StoreTrouble", {
  defaultValue: () => undefined
})

/** The name that a run's own record gives the store of the folder, or what it is called by default. Another store lies in a file of its own. */
export const localName = (started: RunStarted): string => {
  const stores = started.backends.filter(({ plugin }) => plugin === storeId)
  return (stores.find(({ config }) => config["file"] === undefined) ?? stores[0])?.name ?? "local"
}

type CatchUpError = StorageError | BackendError
type Needs = Journal | LocalReader | LocalStore

/** What is left when the command goes on. */
type Outcome = "current" | "late" | { readonly held: string }

export interface CaughtUp {
  /** For stderr; none where all went well. */
  readonly notes: ReadonlyArray<string>
  /** Ids of the runs that were over and in the store before. */
  readonly current: ReadonlySet<string>
  /** The store has more than it had. */
  readonly changed: boolean
}

/**
 * Of `runs`, each that lags is brought up to date. `rows` are the store's, read before;
 * `elsewhere` are ids of runs that an agent delivers.
 */
export const catchUp = (
  runs: ReadonlyArray<RunJournal>,
  rows: ReadonlyMap<string, RunRow>,
  elsewhere: ReadonlySet<string>
): Effect.Effect<CaughtUp, CatchUpError, Needs> =>
  Effect.gen(function* () {
    const stale: Array<RunJournal> = []
    const current = new Set<string>()
    const notes: Array<string> = []
    for (const run of runs) {
      // A run whose archive cannot be read lags for good, and the others do not wait for it.
      const isSo = yield* Effect.catchIf(
        isCurrent(run.id, rows.get(run.id)),
        (error) => error._tag === "StorageError",
        ({ message }) =>
          Effect.as(
            Effect.sync(() => notes.push(`The store lags: ${message}`)),
            undefined
          )
      )
      if (isSo === true) current.add(run.id)
      else if (isSo === false) stale.push(run)
    }
    if (stale.length === 0) return { notes, current, changed: false }
    const target: Target = {
      backend: yield* LocalBackend.make,
      route: undefined,
      processors: [],
      permits: yield* Semaphore.make(1)
    }
    const trouble = yield* StoreTrouble
    const left = new Set<string>()
    const held = new Set<string>()
    yield* Effect.forEach(
      stale,
      (run) =>
        Effect.map(
          outcomeOf(
            trouble !== undefined
              ? fill(run, target.backend)
              : elsewhere.has(run.id)
                ? waitForOther(run)
                : one(run, target)
          ),
          (outcome) => {
            if (outcome !== "late") left.delete(run.id)
            if (typeof outcome === "object") held.add(outcome.held)
          }
        ),
      { concurrency, discard: true }
    ).pipe(
      (work) =>
        Effect.andThen(
          Effect.sync(() => stale.forEach(({ id }) => left.add(id))),
          work
        ),
      Effect.timeoutOption(catchUpMax)
    )
    const late = `${Format.plural(left.size, "run")} ${left.size === 1 ? "is" : "are"} still on the way into the store; shown is what it has.`
    return { notes: [...notes, ...held, ...(left.size === 0 ? [] : [late])], current, changed: true }
  })

/** True when the store has closed the run and no writer came since: nothing can be missing. */
export const isCurrent = (
  run: RunId,
  row: RunRow | undefined
): Effect.Effect<boolean, CatchUpError, Journal | LocalReader> =>
  Effect.gen(function* () {
    if (row?.closed !== true) return false
    const confirmed = yield* (yield* LocalReader).confirmed(run)
    const writers = yield* (yield* Journal).writerIds(run)
    return [...writers].every((id) => confirmed?.marks.has(id) === true)
  })

/** A folder that may only be read, or a store that cannot be written, is no reason to show nothing: the journals say most of it. */
const outcomeOf = <R>(work: Effect.Effect<Outcome, CatchUpError, R>) =>
  Effect.scoped(work).pipe(
    // What a lane would warn of is in the outcome.
    Effect.provideService(MinimumLogLevel, "None"),
    Effect.catch(({ message }) => Effect.succeed<Outcome>({ held: `The store lags: ${message}` }))
  )

const one = (run: RunJournal, target: Target): Effect.Effect<Outcome, CatchUpError, Needs | Scope.Scope> =>
  Effect.gen(function* () {
    const started = yield* run.started
    // A writer that has only just begun: there is nothing to show yet.
    if (started === undefined) return "current"
    // The lane believes the last answer about who lives; without a look now it would not close a run that is over.
    yield* run.writersNow
    const name = localName(started)
    const stateful = yield* Distribution.processorsOf(run)
    const delivery = yield* Pipeline.deliver(run, started, new Map([[name, target]]), stateful)
    if (delivery === undefined) return yield* waitForOther(run)
    const trouble = Effect.map(delivery.backends, (backends) => {
      const { state, reason } = backends.get(name) ?? { state: "idle", reason: undefined }
      return state === "held" || state === "waiting" ? (reason ?? `it does not take run ${run.id}`) : undefined
    })
    // A lane tries again without end, and says meanwhile what is wrong: nobody at a prompt waits for that.
    yield* Effect.raceFirst(
      delivery.settled,
      Effect.repeat(Effect.delay(trouble, troublePoll), { until: (reason) => reason !== undefined })
    )
    const reason = yield* trouble
    return reason === undefined ? "current" : { held: `The store lags: ${reason}` }
  })

/** Puts all that the journals hold of a run into a store that is not the folder's: no lane, no lock, no cursor. */
const fill = (run: RunJournal, backend: Backend["Service"]): Effect.Effect<Outcome, CatchUpError, Scope.Scope> =>
  Effect.gen(function* (): Effect.fn.Return<Outcome, CatchUpError, Scope.Scope> {
    const started = yield* run.started
    if (started === undefined) return "current"
    const writers = yield* run.writersNow
    const opened = yield* backend.open({ run: started.run, startedAt: started.time, remote: null })
    const keep = keeping(yield* Distribution.processorsOf(run))
    const derived = { views: Effect.succeed(yield* run.derived), isDone: () => true }
    const reader = yield* run.reader(new Map(), backend.capabilities.limits, derived)
    for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
      const { writer } = batch
      const events = batch.events.flatMap((event) => keep(writer, event) ?? [])
      yield* opened.write({ ...batch, events })
    }
    const { status, endedAt } = yield* run.standing(writers)
    if (endedAt !== undefined) yield* opened.close({ status, endedAt })
    return "current"
  })

/** Until whoever delivers the run has brought the store to where the journals are now; a living writer is never caught up with for good. */
const waitForOther = (run: RunJournal): Effect.Effect<Outcome, CatchUpError, LocalReader> =>
  Effect.gen(function* () {
    const reader = yield* LocalReader
    const confirmed = yield* reader.confirmed(run.id)
    const { events } = yield* run.countFrom(confirmed?.marks ?? new Map())
    const wanted = before(confirmed?.counts) + events
    const done = yield* Effect.map(reader.confirmed(run.id), (now) => before(now?.counts) >= wanted).pipe(
      Effect.repeat({ until: (answer) => answer, schedule: Schedule.spaced(othersPoll) }),
      Effect.timeoutOption(othersMax)
    )
    return done._tag === "Some" ? "current" : "late"
  })

/** Events that lie before the marks of who has these counts (journal.md J7.8). */
export const before = (counts: Counts = noCounts): number => counts.delivered + counts.rejected + counts.filtered
