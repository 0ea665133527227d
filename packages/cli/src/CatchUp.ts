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
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import * as LocalPlugin from "@tracelet/backend-local/LocalPlugin"
import { LocalReader, type RunRow } from "@tracelet/backend-local/LocalReader"
import type { LocalStore } from "@tracelet/backend-local/LocalStore"
import { openAlone, type Backend } from "@tracelet/core/Backend"
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
import * as Failure from "./Failure.ts"
import * as Format from "./Format.ts"

/** Longest time a command spends on the store before it shows what is there. */
const catchUpMax = Duration.seconds(10)

/** The same where the command has to have all of a run: the disk is what it waits for, and nothing less will do. */
const wholeMax = Duration.minutes(10)

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

/** The store is there to be read, lacks something of a run, and cannot be given it now. `message` says why. */
export class StoreBehind extends Schema.TaggedError<StoreBehind>()("StoreBehind", { message: Schema.String }) {}

/** The name that a run's own record gives the store of the folder, or what it is called by default. Another store lies in a file of its own. */
export const localName = (started: RunStarted): string => {
  const stores = started.backends.filter(({ plugin }) => plugin === storeId)
  return (stores.find(({ config }) => config["file"] === undefined) ?? stores[0])?.name ?? "local"
}

type CatchUpError = StorageError | BackendError
type Needs = Journal | LocalReader | LocalStore

/** What is left when the command goes on. */
type Outcome = "current" | "late" | { readonly held: string } | { readonly unread: string }

export interface CaughtUp {
  /** For stderr; none where all went well. */
  readonly notes: ReadonlyArray<string>
  /** Ids of the runs that were over and in the store before. */
  readonly current: ReadonlySet<string>
  /** The store has more than it had. */
  readonly changed: boolean
  /** Why the store lacks something, by the id of the run. */
  readonly behind: ReadonlyMap<string, string>
  /** What came back of a journal that cannot be read, by the id of the run. */
  readonly unread: ReadonlyMap<string, string>
}

/**
 * Of `runs`, each that lags is brought up to date. `rows` are the store's, read before;
 * `elsewhere` are ids of runs that an agent delivers. With `isWhole` there is time for all of them.
 */
export const catchUp = (
  runs: ReadonlyArray<RunJournal>,
  rows: ReadonlyMap<string, RunRow>,
  elsewhere: ReadonlySet<string>,
  isWhole: boolean
): Effect.Effect<CaughtUp, CatchUpError, Needs> =>
  Effect.gen(function* () {
    const stale: Array<RunJournal> = []
    const current = new Set<string>()
    const reasons = new Set<string>()
    const unread = new Map<string, string>()
    for (const run of runs) {
      // A run whose archive cannot be read lags for good, and the others do not wait for it.
      const isSo = yield* Effect.catchIf(
        isCurrent(run.id, rows.get(run.id)),
        (error) => error._tag === "StorageError",
        ({ message }) =>
          Effect.as(
            Effect.sync(() => unread.set(run.id, message)),
            undefined
          )
      )
      if (isSo === true) current.add(run.id)
      else if (isSo === false) stale.push(run)
    }
    if (stale.length === 0) return { notes: [], current, changed: false, behind: new Map(), unread }
    const target: Target = {
      backend: yield* LocalBackend.make,
      route: undefined,
      processors: [],
      permits: yield* Semaphore.make(1)
    }
    const trouble = yield* StoreTrouble
    const left = new Set(stale.map(({ id }) => id))
    const behind = new Map<string, string>()
    yield* Effect.forEach(
      stale,
      (run) =>
        Effect.map(
          outcomeOf(
            startOf(run, (started) =>
              trouble !== undefined
                ? fill(run, started, target.backend)
                : elsewhere.has(run.id)
                  ? waitForOther(run)
                  : one(run, started, target)
            )
          ),
          (outcome) => {
            if (outcome !== "late") left.delete(run.id)
            if (typeof outcome !== "object") return
            if ("unread" in outcome) {
              unread.set(run.id, outcome.unread)
              behind.set(run.id, outcome.unread)
            } else {
              reasons.add(outcome.held)
              behind.set(run.id, outcome.held)
            }
          }
        ),
      { concurrency, discard: true }
    ).pipe(Effect.timeoutOption(isWhole ? wholeMax : catchUpMax))
    for (const id of left) behind.set(id, `run ${id} is still on the way into it`)
    const late = `${Format.plural(left.size, "run")} ${left.size === 1 ? "is" : "are"} still on the way into the store; shown is what it has.`
    return { notes: [...lags(reasons), ...(left.size === 0 ? [] : [late])], current, changed: true, behind, unread }
  })

/** One line, however many runs it is about: most often one disk is the reason of all. */
const lags = (reasons: ReadonlySet<string>): ReadonlyArray<string> => {
  const [first, ...others] = reasons
  if (first === undefined) return []
  if (others.length === 0) return [`The store lags: ${first}`]
  return [`The store lags: ${Failure.sentence(first)} (And ${Format.plural(others.length, "other reason")}.)`]
}

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
    Effect.catch(({ message }) => Effect.succeed<Outcome>({ held: message }))
  )

/** `next` with the run's own record of its start. One that cannot be read is a trouble of its own, and none of the store's. */
const startOf = <E, R>(
  run: RunJournal,
  next: (started: RunStarted) => Effect.Effect<Outcome, E, R>
): Effect.Effect<Outcome, E, R> =>
  Effect.matchEffect(run.started, {
    onFailure: ({ message }) => Effect.succeed<Outcome>({ unread: message }),
    // A writer that has only just begun: there is nothing to show yet.
    onSuccess: (started) => (started === undefined ? Effect.succeed<Outcome>("current") : next(started))
  })

const one = (
  run: RunJournal,
  started: RunStarted,
  target: Target
): Effect.Effect<Outcome, CatchUpError, Needs | Scope.Scope> =>
  Effect.gen(function* () {
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
    return reason === undefined ? "current" : { held: reason }
  })

/** Puts all that the journals hold of a run into a store that is not the folder's: no lane, no lock, no cursor. */
const fill = (
  run: RunJournal,
  started: RunStarted,
  backend: Backend["Service"]
): Effect.Effect<Outcome, CatchUpError, Scope.Scope> =>
  Effect.gen(function* (): Effect.fn.Return<Outcome, CatchUpError, Scope.Scope> {
    const writers = yield* run.writersNow
    const opened = yield* backend.open(openAlone(started))
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
