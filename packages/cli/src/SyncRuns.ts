/**
 * Delivers runs for a command: a running agent is asked first, since it has the connections and the secrets; what nobody delivers is
 * delivered here; what another process has in hand is watched. All of it ends at the deadline, and nothing is lost by that.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { LocalReader } from "@tracelet/backend-local/LocalReader"
import * as Archive from "@tracelet/core/Archive"
import type { BackendError } from "@tracelet/core/BackendError"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Pipeline from "@tracelet/core/Pipeline"
import type { RunStarted } from "@tracelet/core/RunEvent"
import { isOpen, type Status } from "@tracelet/core/Run"
import type { RunJournal } from "@tracelet/core/RunJournal"
import type { Found, Running } from "./Agents.ts"
import * as CatchUp from "./CatchUp.ts"
import * as Distribution from "./Distribution.ts"
import type { Known } from "./Lookup.ts"
import type * as Output from "./Output.ts"
import * as Report from "./Report.ts"

/** Runs delivered at once. Their backends have limits of their own. */
const concurrency = 8

/** How often an agent, or another process, is asked how far it is. */
const pollEvery = Duration.millis(200)

type Result = Output.Sync["runs"][number]
type SyncError = StorageError | BackendError

/** What was last seen of each run under way. */
export class Progress {
  readonly backendsByRun = new Map<string, Output.Backends>()
  /** What kept a run from being delivered here at all, by its id. */
  readonly troubleByRun = new Map<string, string>()
}

export interface SyncOptions {
  readonly known: Known
  /** Id of the only run; all when left out. */
  readonly wanted: string | undefined
  readonly agent: Found
  readonly timeout: Duration.Duration
  readonly progress: Progress
  /** Whether runs that are delivered here, and done, are archived. */
  readonly isArchiving: boolean
  /** Whether the delivery of a run is taken over from another host, where that cannot be seen (journal.md J7.4). */
  readonly takesOver: (run: string) => boolean
}

export interface Synced {
  /** One for each run that had something to deliver, and for the one that was wanted. Newest first. */
  readonly results: ReadonlyArray<Result>
  /** What came back of runs that cannot be read, by their ids: what is left of them is not known. */
  readonly unread: ReadonlyMap<string, string>
}

/** Delivers them. A run that cannot be read, or delivered, keeps no other one. */
export const sync = ({
  known,
  wanted,
  agent,
  timeout,
  progress,
  isArchiving,
  takesOver
}: SyncOptions): Effect.Effect<Synced, SyncError, Journal | LocalReader | Scope.Scope> =>
  Effect.gen(function* () {
    const unread = new Map<string, string>()
    const todo: Array<readonly [RunJournal, RunStarted]> = []
    for (const [id, run] of known.journals) {
      if (wanted !== undefined && id !== wanted) continue
      const started = yield* Effect.gen(function* () {
        const found = yield* run.started
        if (found === undefined || wanted !== undefined) return found
        return (yield* isDone(run, found, known)) ? undefined : found
      }).pipe(
        Effect.catchIf(
          (error) => error._tag === "StorageError",
          ({ message }) =>
            Effect.as(
              Effect.sync(() => unread.set(id, message)),
              undefined
            )
        )
      )
      if (started !== undefined) todo.push([run, started])
    }
    const distribution = yield* Distribution.make()
    yield* Effect.forEach(
      todo,
      ([run, started]) =>
        Effect.gen(function* () {
          // This host's agent takes nothing over.
          const takeOver = takesOver(run.id)
          if (agent.state === "running" && !takeOver && (yield* byAgent(run, started, agent.agent, progress))) return
          yield* Effect.scoped(here(run, started, distribution, progress, isArchiving, takeOver))
        }).pipe(Effect.catch(({ message }) => Effect.sync(() => void progress.troubleByRun.set(run.id, message)))),
      { concurrency, discard: true }
    ).pipe(Effect.timeoutOption(timeout))
    const ids = todo.map(([run]) => run.id)
    const storeNames = new Map(todo.map(([run, started]) => [run.id, CatchUp.localName(started)]))
    const found = yield* results(storeNames, known, progress)
    for (const id of ids) {
      if (found.some((result) => result.id === id)) continue
      unread.set(id, progress.troubleByRun.get(id) ?? "how it stands cannot be read")
    }
    return { results: found, unread }
  })

/**
 * True when every backend has closed the run and no writer came since. Of the folder's store its own word counts: it is a cache, and may be
 * gone, or not to be read, when the cursor is there.
 */
const isDone = (
  run: RunJournal,
  started: RunStarted,
  { rows }: Known
): Effect.Effect<boolean, SyncError, Journal | LocalReader> =>
  Effect.gen(function* () {
    const writers = yield* (yield* Journal).writerIds(run.id)
    for (const { name } of started.backends) {
      const cursor = yield* run.cursor(name)
      if (cursor === undefined || cursor === "damaged" || !cursor.closed) return false
      if ([...writers].some((id) => !Object.hasOwn(cursor.writers, id))) return false
    }
    const isInStore = started.backends.some(
      ({ plugin, config }) => plugin === CatchUp.storeId && config["file"] === undefined
    )
    return !isInStore || (yield* CatchUp.isCurrent(run.id, rows.get(run.id)))
  })

/** Nothing more happens by itself: all is sent, and closed where the run is over, or what is left waits for somebody to act. */
const isSettledIn = (status: Status, backends: Output.Backends): boolean =>
  Object.values(backends).every(
    ({ pending, state }) =>
      state === "held" ||
      state === "missing" ||
      state === "error" ||
      (isOpen(status) ? pending === 0 && state !== "waiting" : state === "done")
  )

/** Asks whether its writers live only when the rest is settled. Who delivers a run may not have noticed yet that it was killed. */
const isSettled = (run: RunJournal, backends: Output.Backends): Effect.Effect<boolean, StorageError> =>
  isSettledIn("running", backends)
    ? Effect.map(
        Effect.flatMap(run.writersNow, (writers) => run.standing(writers)),
        ({ status }) => isSettledIn(status, backends)
      )
    : Effect.succeed(false)

/** Watches the agent deliver the run, with what secrets this environment has where it lacks any; false when it does not, or is gone. */
const byAgent = (
  run: RunJournal,
  started: RunStarted,
  { client }: Running,
  progress: Progress
): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    let view = yield* client.announce(run.id)
    if (Object.values(view?.backends ?? {}).some(({ state }) => state === "held")) {
      const secrets = yield* Distribution.credentialsFor(started)
      if (Object.keys(secrets).length > 0) view = yield* client.announce(run.id, { secrets })
    }
    while (view !== undefined) {
      progress.backendsByRun.set(run.id, view.backends)
      if (yield* isSettled(run, view.backends)) return true
      yield* Effect.sleep(pollEvery)
      view = yield* client.run(run.id)
    }
    return false
  }).pipe(Effect.orElseSucceed(() => false))

const here = (
  run: RunJournal,
  started: RunStarted,
  distribution: Distribution.Distribution,
  progress: Progress,
  isArchiving: boolean,
  takeOver: boolean
): Effect.Effect<void, SyncError, Journal | Scope.Scope> =>
  Effect.gen(function* () {
    // The lanes close a run only when they know that its writers are over.
    yield* run.writersNow
    const targets = yield* distribution.targetsOf(started)
    const delivery = yield* Pipeline.deliver(run, started, targets, yield* Distribution.processorsOf(run), { takeOver })
    if (delivery === undefined) return yield* watch(run, started, progress)
    const look = Effect.map(delivery.backends, (standings) => {
      const backends = Object.fromEntries(standings)
      progress.backendsByRun.set(run.id, backends)
      return backends
    })
    const settled = Effect.gen(function* () {
      yield* delivery.settled
      while (!(yield* isSettled(run, yield* look))) {
        yield* delivery.wake
        yield* Effect.sleep(pollEvery)
        yield* delivery.settled
      }
    })
    yield* Effect.raceFirst(
      settled,
      Effect.andThen(Effect.repeat(look, Schedule.spaced(pollEvery)), Effect.never)
    ).pipe(Effect.ensuring(Effect.ignore(look)))
    // While the lock is ours. What stands against it is said by `tracelet archive`.
    if (isArchiving && delivery.isDone()) yield* Effect.ignore(Archive.archive(run))
  })

/** Another process has the run: its cursors tell how far it is. */
const watch = (run: RunJournal, started: RunStarted, progress: Progress): Effect.Effect<void, SyncError> =>
  Effect.gen(function* () {
    const entries: Array<[string, Output.Backend]> = []
    for (const { name } of started.backends) entries.push([name, yield* Pipeline.standingFromCursor(run, name)])
    const backends = Object.fromEntries(entries)
    progress.backendsByRun.set(run.id, backends)
    return yield* isSettled(run, backends)
  }).pipe(Effect.repeat({ until: (settled) => settled, schedule: Schedule.spaced(pollEvery) }), Effect.asVoid)

/**
 * How the runs stand now, as every command says it; where a lane was seen, as it was last seen, since a cursor does not say what stands in the way.
 * `storeNames`: by the id of each run, the backend whose counts are the store's own where something is in its way.
 */
const results = (
  storeNames: ReadonlyMap<string, string>,
  { journals }: Known,
  progress: Progress
): Effect.Effect<ReadonlyArray<Result>, SyncError, Journal | LocalReader> =>
  Effect.gen(function* () {
    const rows = new Map((yield* (yield* LocalReader).runs()).map((row) => [row.id, row]))
    const reports = yield* Report.reports(storeNames.keys(), { journals, rows, current: new Set() }, { state: "none" })
    return reports.map(({ id, project, name, status, backends }) => {
      const lanes = progress.backendsByRun.get(id)
      const trouble = progress.troubleByRun.get(id)
      const seen = Object.fromEntries(
        Object.entries(backends).map(([backend, standing]) => [
          backend,
          withTrouble(
            backend === storeNames.get(id) && lanes?.[backend]?.reason !== undefined
              ? Report.asSeen(standing, lanes?.[backend])
              : Report.seenOr(standing, lanes?.[backend]),
            trouble
          )
        ])
      )
      return { id, project, name, status, drained: isDrained(status, seen), backends: seen }
    })
  })

/** What kept the run from being delivered keeps each of its backends that lacks something. */
const withTrouble = (standing: Output.Backend, trouble: string | undefined): Output.Backend =>
  trouble === undefined || standing.state === "done" || standing.reason !== undefined
    ? standing
    : { ...standing, state: "held", reason: trouble }

/** A run that is over is drained when it is closed everywhere; a running one, when nothing of it is behind. */
const isDrained = (status: Status, backends: Output.Backends): boolean =>
  Object.values(backends).every(({ pending, state }) =>
    isOpen(status) ? pending === 0 : pending === 0 && state === "done"
  )
