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
import type { RunJournal } from "@tracelet/core/RunJournal"
import type { Found, Running } from "./Agents.ts"
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

/** One result for each run that had something to deliver, and for the one that was wanted. Newest first. */
export const sync = ({
  known,
  wanted,
  agent,
  timeout,
  progress,
  isArchiving,
  takesOver
}: SyncOptions): Effect.Effect<ReadonlyArray<Result>, SyncError, Journal | LocalReader | Scope.Scope> =>
  Effect.gen(function* () {
    const todo: Array<readonly [RunJournal, RunStarted]> = []
    for (const [id, run] of known.journals) {
      if (wanted !== undefined && id !== wanted) continue
      const started = yield* Effect.gen(function* () {
        const found = yield* run.started
        if (found === undefined || wanted !== undefined) return found
        return (yield* isDone(run, found)) ? undefined : found
      }).pipe(
        // One that cannot be read does not keep the others from being delivered.
        Effect.catchIf(
          (error) => wanted === undefined && error._tag === "StorageError",
          ({ message }) => Effect.as(Effect.logWarning(`Run ${id} is passed over: ${message}`), undefined)
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
          if (agent.state === "running" && !takeOver && (yield* byAgent(run, agent.agent, progress))) return
          yield* Effect.scoped(here(run, started, distribution, progress, isArchiving, takeOver))
        }),
      { concurrency, discard: true }
    ).pipe(Effect.timeoutOption(timeout))
    return yield* results(
      todo.map(([run]) => run.id),
      known,
      progress
    )
  })

/** True when every backend has closed the run and no writer came since. */
const isDone = (run: RunJournal, started: RunStarted): Effect.Effect<boolean, SyncError, Journal> =>
  Effect.gen(function* () {
    const writers = yield* (yield* Journal).writerIds(run.id)
    for (const { name } of started.backends) {
      const cursor = yield* run.cursor(name)
      if (cursor === undefined || cursor === "damaged" || !cursor.closed) return false
      if ([...writers].some((id) => !Object.hasOwn(cursor.writers, id))) return false
    }
    return true
  })

const isOpen = (status: string): boolean => status === "running" || status === "stale"

/** Nothing more happens by itself: all is sent, and closed where the run is over, or what is left waits for somebody to act. */
const isSettledIn = (status: string, backends: Output.Backends): boolean =>
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

/** Watches the agent deliver the run; false when it does not, or is gone. */
const byAgent = (run: RunJournal, { client }: Running, progress: Progress): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    let view = yield* client.announce(run.id)
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

/** How the runs stand now, as every command says it; where a lane was seen, as it was last seen, since a cursor does not say what stands in the way. */
const results = (
  ids: ReadonlyArray<string>,
  { journals }: Known,
  progress: Progress
): Effect.Effect<ReadonlyArray<Result>, SyncError, Journal | LocalReader> =>
  Effect.gen(function* () {
    const rows = new Map((yield* (yield* LocalReader).runs()).map((row) => [row.id, row]))
    const reports = yield* Report.reports(ids, { journals, rows, current: new Set() }, { state: "none" })
    return reports.map(({ id, project, name, status, backends }) => {
      const lanes = progress.backendsByRun.get(id)
      const seen = Object.fromEntries(
        Object.entries(backends).map(([backend, standing]) => [backend, Report.seenOr(standing, lanes?.[backend])])
      )
      return { id, project, name, status, drained: isDrained(status, seen), backends: seen }
    })
  })

/** A run that is over is drained when it is closed everywhere; a running one, when nothing of it is behind. */
const isDrained = (status: string, backends: Output.Backends): boolean =>
  Object.values(backends).every(({ pending, state }) =>
    isOpen(status) ? pending === 0 : pending === 0 && state === "done"
  )
