/**
 * What a lane says of itself (`Telemetry`): a span and a few counters for each batch, nothing for each point.
 *
 * Its spans begin traces of their own, with a link to the one the run was logged under: delivery may come a week later, in another
 * process, and a run of days would make one trace of a hundred thousand spans.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type { Batch } from "../Backend.ts"
import { BackendError } from "../BackendError.ts"
import type { RunEvent, RunStarted } from "../RunEvent.ts"
import { attributes, metrics, spans } from "../Telemetry.ts"
import type { WriteReport } from "../WriteReport.ts"
import { countEvents, restOf } from "./places.ts"
import { linksTo, spanned } from "./spans.ts"

type Outcome = "accepted" | "rejected" | "retry" | "poison" | "held"

/** The lanes of this process by their backend, since a gauge of all of them is the greatest. */
const lanesByBackend = new Map<string, Set<LaneTelemetry>>()

const metricsOf = (backend: string) => {
  const own = { [attributes.backend.name]: backend }
  return {
    captured: Metric.withAttributes(metrics.captured, own),
    delivered: Metric.withAttributes(metrics.delivered, own),
    rejected: Metric.withAttributes(metrics.rejected, own),
    retried: Metric.withAttributes(metrics.retried, own),
    lagEvents: Metric.withAttributes(metrics.lagEvents, own),
    lagSeconds: Metric.withAttributes(metrics.lagSeconds, own)
  }
}

export class LaneTelemetry {
  private readonly backend: string
  private readonly started: RunStarted
  private readonly metrics: ReturnType<typeof metricsOf>
  /** Events of the run up to the last one that was counted as captured. */
  private captured = 0
  private lagEvents = 0
  /** When the first event of the batch in flight was captured, in seconds since the Unix epoch. */
  private oldest: number | undefined

  constructor(backend: string, started: RunStarted) {
    this.backend = backend
    this.started = started
    this.metrics = metricsOf(backend)
  }

  // ---- spans ----

  open<A, E, R>(effect: Effect.Effect<A, E, R>, failures: number): Effect.Effect<A, E, R> {
    return spanned(effect, spans.open.name, () => this.options({ [attributes.attempt.name]: failures + 1 }), saidOf)
  }

  close<A, E, R>(effect: Effect.Effect<A, E, R>, status: string, failures: number): Effect.Effect<A, E, R> {
    const options = () => this.options({ [attributes.attempt.name]: failures + 1, [attributes.status.name]: status })
    return spanned(effect, spans.close.name, options, saidOf)
  }

  write(
    effect: Effect.Effect<WriteReport, BackendError>,
    batch: Batch,
    failures: number
  ): Effect.Effect<WriteReport, BackendError> {
    const options = () =>
      this.options({
        [attributes.events.name]: countEvents(batch.events),
        [attributes.bytes.name]: batch.to.position - batch.from.position,
        [attributes.attempt.name]: failures + 1
      })
    const counted = Effect.onExit(effect, (exit) => this.counted(batch, exit))
    return spanned(counted, spans.write.name, options, saidOfWrite)
  }

  private options(own: Readonly<Record<string, unknown>>) {
    return {
      root: true,
      links: linksTo(this.started),
      attributes: {
        [attributes.backend.name]: this.backend,
        [attributes.runId.name]: this.started.run.id,
        ...own
      }
    }
  }

  /** What comes back to be sent again. */
  private counted(batch: Batch, exit: Exit.Exit<WriteReport, BackendError>): Effect.Effect<void> {
    const from = Exit.isSuccess(exit) ? exit.value.retryFrom : undefined
    const again =
      from !== undefined
        ? countEvents(restOf(batch, from).events)
        : outcomeOf(exit) === "retry"
          ? countEvents(batch.events)
          : 0
    return again === 0 ? Effect.void : Metric.update(this.metrics.retried, again)
  }

  // ---- metrics ----

  /** The marks lie behind `passed` events of the run: nothing before them is new. */
  resumed(passed: number): void {
    this.captured = Math.max(this.captured, passed)
  }

  /** `events` are read; `passed` lie before them. */
  taken(passed: number, events: ReadonlyArray<RunEvent>): Effect.Effect<void> {
    this.oldest = timeOf(events[0])
    return this.reached(passed + countEvents(events))
  }

  private reached(total: number): Effect.Effect<void> {
    const more = total - this.captured
    if (more <= 0) return Effect.void
    this.captured = total
    return Metric.update(this.metrics.captured, more)
  }

  /** A batch, or a part of one, is behind the marks. */
  confirmed(delivered: number, rejected: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      if (delivered > 0) yield* Metric.update(this.metrics.delivered, delivered)
      if (rejected > 0) yield* Metric.update(this.metrics.rejected, rejected)
      yield* this.showLagSeconds
    })
  }

  /** Nothing lies behind the marks that is not confirmed. */
  get caughtUp(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.oldest === undefined && this.lagEvents === 0) return Effect.void
      this.oldest = undefined
      return Effect.andThen(this.showLagEvents(0), this.showLagSeconds)
    })
  }

  /** Behind the `passed` events lie `pending` that were captured. */
  behind(passed: number, pending: number): Effect.Effect<void> {
    return this.reached(passed + pending).pipe(
      Effect.andThen(this.showLagEvents(pending)),
      Effect.andThen(this.showLagSeconds)
    )
  }

  private showLagEvents(events: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const change = events - this.lagEvents
      this.lagEvents = events
      return change === 0 ? Effect.void : Metric.update(this.metrics.lagEvents, change)
    })
  }

  private get showLagSeconds(): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (ms) => {
      const now = ms / 1000
      let oldest = now
      for (const lane of lanesByBackend.get(this.backend) ?? []) oldest = Math.min(oldest, lane.oldest ?? now)
      return Metric.update(this.metrics.lagSeconds, now - oldest)
    })
  }

  /** As long as `self` runs, the lane is among those that may lag behind. */
  readonly observed = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const lanes = lanesByBackend.get(this.backend) ?? new Set()
        lanesByBackend.set(this.backend, lanes.add(this))
        return lanes
      }),
      () => self,
      (lanes) => {
        lanes.delete(this)
        if (lanes.size === 0) lanesByBackend.delete(this.backend)
        return Effect.andThen(this.showLagEvents(0), this.showLagSeconds)
      }
    )
}

/** Seconds since the Unix epoch, of when it was captured. */
const timeOf = (event: RunEvent | undefined): number | undefined => {
  if (event === undefined) return undefined
  if (event._tag === "PointBatch") return event.times[0]
  return "time" in event ? event.time : undefined
}

/** `undefined` when it was interrupted, or failed in the journal. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome | undefined => {
  if (Exit.isSuccess(exit)) return "accepted"
  const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  if (!(error instanceof BackendError)) return undefined
  switch (error.reason._tag) {
    case "Transient":
    case "Throttled":
      return "retry"
    case "Poison":
      return "poison"
    case "Held":
    case "Unauthorised":
      return "held"
  }
}

const said = (outcome: Outcome | undefined): Readonly<Record<string, unknown>> =>
  outcome === undefined ? {} : { [attributes.outcome.name]: outcome }

const saidOf = (exit: Exit.Exit<unknown, unknown>) => said(outcomeOf(exit))

const saidOfWrite = (exit: Exit.Exit<WriteReport, unknown>): Readonly<Record<string, unknown>> => {
  if (!Exit.isSuccess(exit)) return said(outcomeOf(exit))
  const { rejected, retryFrom } = exit.value
  const outcome = retryFrom !== undefined ? "retry" : rejected.length > 0 ? "rejected" : "accepted"
  return { ...said(outcome), [attributes.rejected.name]: rejected.length }
}
