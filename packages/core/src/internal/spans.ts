/**
 * Spans that hold no secret: what a failure says of itself is its message, never its cause, whose requests and responses may carry
 * credentials. Where no tracer is installed none is made.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Tracer from "effect/Tracer"
import { BackendError } from "../BackendError.ts"
import type { Run } from "../Run.ts"
import type { RunFinished, RunStarted, TraceReference } from "../RunEvent.ts"
import { attributes, spans } from "../Telemetry.ts"

/** Whether spans go anywhere. */
const isTraced: Effect.Effect<boolean> = Effect.map(Effect.tracer, (tracer) => tracer !== Tracer.nativeTracer)

/** Runs `effect` under a span, which tells of its failure by type and message alone. `describe` adds what its success says. */
export const spanned = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  name: string,
  options: () => Tracer.SpanOptionsNoTrace,
  describe: (exit: Exit.Exit<A, E>) => Readonly<Record<string, unknown>> = () => ({})
): Effect.Effect<A, E, R> =>
  Effect.flatMap(isTraced, (traced) =>
    traced
      ? Effect.useSpan(name, options(), (span) =>
          Effect.onExit(under(effect, span), (exit) =>
            Effect.map(Clock.currentTimeNanos, (now) => {
              for (const [key, value] of Object.entries(describe(exit))) span.attribute(key, value)
              end(span, now, exit)
            })
          )
        )
      : effect
  )

/** Lets `effect` and what it forks know the span as theirs. */
const under = <A, E, R>(effect: Effect.Effect<A, E, R>, span: Tracer.AnySpan): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Tracer.ParentSpan, span)

const end = (span: Tracer.Span, now: bigint, exit: Exit.Exit<unknown, unknown>): void => {
  const failure = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? describeFailure(exit.cause) : undefined
  if (failure !== undefined) span.attribute(attributes.errorType.name, failure.name)
  // What a success gives is nobody's business here, and an exporter may print it.
  span.end(now, failure === undefined ? Exit.asVoid(exit) : Exit.fail(failure))
}

/** A failure as a span may tell of it. A defect is none of ours, and what its message holds is not known. */
const describeFailure = (cause: Cause.Cause<unknown>): Error => {
  const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
  if (error instanceof BackendError) return said(error.reason._tag, error.message)
  if (Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" && error instanceof Error) {
    return said(error._tag, error.message)
  }
  return said(other, "a defect")
}

/** What OpenTelemetry calls an error that has no type (semantic conventions 1.43, `error.type`). */
const other = "_OTHER"

const said = (name: string, message: string): Error => {
  const error = new Error(message)
  error.name = name
  error.stack = `${name}: ${message}`
  return error
}

// ---- the span of a run ----

/** A run's span, as who begins the run needs it. */
interface RunSpan {
  /** What its record says: the span it was begun under, or its own where that is the first of its trace. */
  readonly trace: TraceReference | undefined
  readonly end: (end: Pick<RunFinished, "status" | "error">) => Effect.Effect<void>
  /** What `effect` does is under it. */
  readonly provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Begins the span of a run under the current one. */
export const beginRun = ({ id, name, project }: Pick<Run, "id" | "name" | "project">): Effect.Effect<RunSpan> =>
  Effect.gen(function* () {
    const outer = yield* Effect.orElseSucceed(Effect.currentParentSpan, () => undefined)
    if (!(yield* isTraced)) {
      return { trace: referenceTo(outer), end: () => Effect.void, provide: (effect) => effect }
    }
    const span = yield* Effect.makeSpan(spans.run.name, {
      attributes: { [attributes.runId.name]: id, [attributes.runName.name]: name, [attributes.project.name]: project }
    })
    return {
      trace: referenceTo(outer ?? span),
      end: ({ error, status }) =>
        Effect.map(Clock.currentTimeNanos, (now) => {
          span.attribute(attributes.status.name, status)
          if (status === "finished") return span.end(now, Exit.void)
          if (status === "killed") return span.end(now, Exit.interrupt())
          const [type = other] = (error ?? other).split(":", 1)
          span.attribute(attributes.errorType.name, type)
          span.end(now, Exit.fail(said(type, error ?? status)))
        }),
      provide: (effect) => under(effect, span)
    }
  })

/** Tracers may use ids of other shapes: those are none that a record can hold. */
const referenceTo = (span: Tracer.AnySpan | undefined): TraceReference | undefined =>
  span !== undefined && /^[0-9a-f]{32}$/.test(span.traceId) && /^[0-9a-f]{16}$/.test(span.spanId)
    ? { traceId: span.traceId, spanId: span.spanId }
    : undefined

/** What leads from a span of delivery back to the span its run was begun under, in whatever process that was. */
export const linksTo = ({ trace }: RunStarted): ReadonlyArray<Tracer.SpanLink> =>
  trace === undefined ? [] : [{ span: Tracer.externalSpan({ ...trace, sampled: true }), attributes: {} }]
