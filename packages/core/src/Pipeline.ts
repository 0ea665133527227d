/**
 * Delivers runs: takes a run's `delivery.lock`, joins its journal with the backends it names, and runs one lane for each. Two hosts use it:
 * an app that provides `Tracelet.layer`, and the agent; `tracelet sync` is a third for a moment.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BackendStanding } from "./BackendStanding.ts"
import * as Cursor from "./Cursor.ts"
import { start as startDerivations } from "./Derivation.ts"
import { failedStatus, start as startLane, type Lane, type LaneStatus, type Target } from "./Delivery.ts"
import type { StorageError } from "./JournalStorage.ts"
import type { RunStarted } from "./RunEvent.ts"
import type { RunJournal, Standing } from "./RunJournal.ts"
import type { Configured } from "./StatefulProcessor.ts"
import { Backlog } from "./internal/backlog.ts"

/** A backend that a run names and that is not to be had here: not installed, not to be used with its config, or without a secret that it needs. */
export interface Unavailable {
  readonly state: "missing" | "error" | "held"
  /** What is wrong and what to do. */
  readonly reason: string
}

export type Targets = ReadonlyMap<string, Target | Unavailable>

/** A run under delivery in this process. */
export interface RunDelivery {
  readonly run: RunJournal
  readonly started: RunStarted
  readonly standing: Effect.Effect<Standing, StorageError>
  /** Cheap to ask again: the journal is counted once, whatever is behind. */
  readonly backends: Effect.Effect<ReadonlyMap<string, BackendStanding>, StorageError>
  /** Everything is delivered, and closed where the run is over; or what is left waits for somebody to act. */
  readonly isSettled: () => boolean
  /** True when the run is over and closed at every backend. */
  readonly isDone: () => boolean
  /** Look now: something was logged, a writer ended, or held lanes may try again. */
  readonly wake: Effect.Effect<void>
  /** Returns when `isSettled`. */
  readonly settled: Effect.Effect<void>
}

const settledPoll = Duration.millis(10)

/** How often what lies behind the lanes is counted for the metrics: it reads the journal of a lane that lags once more. */
const lagEvery = Duration.minutes(1)

export interface DeliverOptions {
  /** Deliver also what another host's writers left, or what another host delivered so far, where its locks cannot be seen (J7.4). Default false. */
  readonly takeOver?: boolean
}

/**
 * Delivers `run` to `targets` until the scope closes, and what `stateful` derive of it; `undefined` when another process delivers it.
 * Each backend's lane goes its own way: none waits for another.
 */
export const deliver = (
  run: RunJournal,
  started: RunStarted,
  targets: Targets,
  stateful: ReadonlyArray<Configured> = [],
  options: DeliverOptions = {}
): Effect.Effect<RunDelivery | undefined, StorageError, Scope.Scope> =>
  Effect.gen(function* () {
    if (!(yield* run.lock)) return undefined
    const lanes = new Map<string, Lane>()
    const failed = new Map<string, LaneStatus>()
    const derivations = yield* startDerivations(run, stateful, options.takeOver === true, () =>
      lanes.forEach((lane) => lane.wake())
    )
    for (const [name, target] of targets) {
      if ("backend" in target) {
        lanes.set(name, yield* startLane(name, run, started, target, derivations, options.takeOver))
      } else failed.set(name, failedStatus(target.state, target.reason))
    }
    const scope = yield* Effect.scope
    const backlogs = new Map([...targets.keys()].map((name) => [name, new Backlog(run, derivations, scope)]))
    yield* Effect.sleep(lagEvery).pipe(
      Effect.andThen(
        Effect.forEach(
          lanes,
          ([name, lane]) => lane.lag((status) => backlogs.get(name)?.pending(status) ?? Effect.succeed(0)),
          { discard: true }
        )
      ),
      // A metric is no reason to stop anything; the lanes meet what is wrong with the journal themselves.
      Effect.ignoreCause,
      Effect.forever,
      Effect.forkScoped
    )
    const isSettled = () => derivations.isSettled() && [...lanes.values()].every((lane) => lane.isSettled)
    return {
      run,
      started,
      standing: Effect.flatMap(run.writers, (writers) => run.standing(writers)),
      backends: Effect.gen(function* () {
        const standings = new Map<string, BackendStanding>()
        for (const name of targets.keys()) {
          const status = lanes.get(name)?.status ?? failed.get(name)
          const backlog = backlogs.get(name)
          if (status === undefined || backlog === undefined) continue
          standings.set(name, toStanding(status, status.state === "done" ? 0 : yield* backlog.pending(status)))
        }
        return standings
      }),
      isSettled,
      isDone: () => [...lanes.values()].every((lane) => lane.status.state === "done"),
      wake: Effect.andThen(
        Effect.ignore(run.writersNow),
        Effect.sync(() => {
          derivations.wake()
          lanes.forEach((lane) => lane.wake())
        })
      ),
      settled: Effect.suspend(() => (isSettled() ? Effect.void : Effect.sleep(settledPoll))).pipe(
        Effect.repeat({ until: isSettled }),
        Effect.asVoid
      )
    }
  })

/** What a lane has done, and what still lies behind its marks. */
export const backendStanding = (run: RunJournal, status: LaneStatus): Effect.Effect<BackendStanding, StorageError> =>
  Effect.map(status.state === "done" ? Effect.succeed({ events: 0 }) : run.countFrom(status.marks), ({ events }) =>
    toStanding(status, events)
  )

const toStanding = (status: LaneStatus, pending: number): BackendStanding => ({
  delivered: status.counts.delivered,
  pending,
  deadLetter: status.counts.rejected,
  state: status.state,
  ...(status.reason === undefined ? {} : { reason: status.reason })
})

/** The same for a run that nobody delivers now, from its cursor file. */
export const standingFromCursor = (run: RunJournal, backend: string): Effect.Effect<BackendStanding, StorageError> =>
  Effect.flatMap(run.cursor(backend), (cursor) => {
    if (cursor === "damaged") {
      return backendStanding(run, { ...failedStatus("error", "The cursor file is damaged."), state: "held" })
    }
    const marks = cursor === undefined ? new Map<string, Cursor.Mark>() : Cursor.marks(cursor)
    const counts = cursor?.counts ?? Cursor.noCounts
    const reason = cursor === undefined ? undefined : Cursor.uncertainty(cursor)
    const state = cursor?.closed === true ? "done" : "idle"
    return backendStanding(run, { state, counts, marks, ...(reason === undefined ? {} : { reason }) })
  })
