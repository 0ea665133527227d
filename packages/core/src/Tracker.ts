/**
 * What a user calls: begin a run, and log into it.
 *
 * @example
 * ```ts
 * const train = Effect.gen(function*() {
 *   yield* Tracker.logParams({ lr: 1e-3 })
 *   for (let step = 0; step < 1000; step++) yield* Tracker.log({ loss: fit(step) }, { step })
 * }).pipe(Tracker.withRun({ project: "digits", name: "baseline" }))
 * ```
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { CurrentRun } from "./CurrentRun.ts"
import type { JournalError } from "./Journal.ts"
import type { JsonObject } from "./JsonObject.ts"
import * as Name from "./Name.ts"
import { isStep } from "./Point.ts"
import type { Run as RunData } from "./Run.ts"
import { isSeriesContext } from "./SeriesContext.ts"
import { contextProblem, stepProblem } from "./internal/journalWriter.ts"
import { currentRun, event, raised, whenEnded, why, type LogOptions } from "./internal/intoRun.ts"
import { describeValue } from "./internal/describeValue.ts"
import * as Json from "./internal/json.ts"

export { logArtifact, logInput, type ArtifactOptions, type InputOptions } from "./internal/artifacts.ts"
export { logFigure, logHistogram, logImage, logTable } from "./internal/media.ts"
export type { LogOptions }

/** A run's name, project or tag, or a backend's name, that is not legal (journal.md J5.22). */
export class RunOptionsError extends Schema.TaggedError<RunOptionsError>()("RunOptionsError", {
  message: Schema.String
}) {}

/** The buffer is full: what is written falls behind what is logged, or the disk takes nothing. */
export class BufferFull extends Schema.TaggedError<BufferFull>()("BufferFull", { message: Schema.String }) {}

export interface RunOptions {
  /** Default `default`. */
  readonly project?: string
  /** Default `run-` and the first 8 characters of the id. */
  readonly name?: string
  /** Labels, or keys with values. */
  readonly tags?: ReadonlyArray<string> | { readonly [key: string]: string }
  /** The run that this one is nested in, or its id; `"current"`: the one whose `withRun` or `provide` is around this. Default: none. */
  readonly parent?: string | { readonly id: string }
  /**
   * Goes on with an earlier run of this folder, by its id: its name, project and parent stay, tags are added. It may have ended in any way, be archived, or
   * still be running elsewhere; one that is not there fails. Steps that are not given begin at 0 again.
   */
  readonly resume?: string | { readonly id: string }
}

/** A run under way. It ends with the scope it was started in, with that scope's Exit as its status. */
export interface Run extends RunData {
  /** Lets `effect` log into this run. */
  readonly provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, CurrentRun>>
}

export class Tracker extends Context.Service<
  Tracker,
  {
    /** Names of the backends runs are delivered to. */
    readonly backends: ReadonlyArray<string>
    /** See `startRun`. */
    readonly startRun: (options: RunOptions) => Effect.Effect<Run, JournalError | RunOptionsError, Scope.Scope>
  }
>()("@tracelet/core/Tracker") {}

/**
 * A run that ends with the scope: `finished` when that succeeds, `failed` when it fails or dies, `killed` when it is interrupted.
 *
 * *When to use*: where a run is longer or shorter than one Effect; else `withRun`.
 */
export const startRun = (
  options: RunOptions = {}
): Effect.Effect<Run, JournalError | RunOptionsError, Tracker | Scope.Scope> =>
  Effect.flatMap(Tracker, (tracker) => tracker.startRun(options))

/** Runs `self` as one run, which ends with it. */
export const withRun =
  (options: RunOptions = {}) =>
  <A, E, R>(
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | JournalError | RunOptionsError, Exclude<R, CurrentRun> | Tracker> =>
    Effect.scopedWith((scope) =>
      Effect.flatMap(Tracker, (tracker) =>
        Effect.flatMap(provideScope(tracker.startRun(options), scope), (run) => run.provide(self))
      )
    )

const provideScope = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>, scope: Scope.Scope): Effect.Effect<A, E> =>
  Effect.provideService(effect, Scope.Scope, scope)

/** Series names and their values. */
export interface Values {
  /** A bigint becomes the nearest float64, a boolean 1 or 0. */
  readonly [name: string]: number | bigint | boolean
}

/**
 * Logs one or many values. Returns before they are written; they are within 10 ms.
 *
 * *Details*: a name, step or context that fits no journal is refused: counted, and warned of once at the end of the run. With
 * `onFull: "fail"` a full buffer fails with `BufferFull` and nothing is kept; with `durable: true` it returns when the values survive a
 * power cut.
 */
export function log(
  values: Values,
  options?: LogOptions & { readonly onFull?: never; readonly durable?: never }
): Effect.Effect<void, never, CurrentRun>
export function log(
  values: Values,
  options: LogOptions & { readonly onFull: "fail"; readonly durable?: never }
): Effect.Effect<void, BufferFull, CurrentRun>
export function log(
  values: Values,
  options: LogOptions & { readonly durable: true; readonly onFull?: never }
): Effect.Effect<void, JournalError, CurrentRun>
export function log(
  values: Values,
  options?: LogOptions & { readonly onFull?: "fail"; readonly durable?: true }
): Effect.Effect<void, BufferFull | JournalError, CurrentRun> {
  // The measured hot path: one look at the fiber, no generator.
  return Effect.withFiber<void, BufferFull | JournalError, CurrentRun>((fiber) => {
    const current = currentRun(fiber)
    if (current.writer.isFull) return whenFull(current, values, options)
    return writeValues(current, values, options) ? current.flush : Effect.void
  })
}

/** Whether the caller waits until they are durable. */
const writeValues = (
  { clock, writer }: CurrentRun["Service"],
  values: Values,
  options: FullOptions | undefined
): boolean => {
  const time = clock.currentTimeMillisUnsafe() / 1000
  let taken = 0
  // What is handed over may be anything, and may raise when it is read: never in the caller's loop.
  try {
    const isDurable = options?.durable === true
    for (const name in values) {
      writer.point(name, values[name], options?.step, options?.context, time)
      taken++
    }
    if (taken === 0 && Json.entriesOf(values) === undefined) writer.refuse(notNamed, values)
    return isDurable
  } catch (cause) {
    writer.refuse(raised, cause, Math.max(1, namesOf(values).length - taken))
    return false
  }
}

type FullOptions = LogOptions & { readonly onFull?: "fail"; readonly durable?: true }

const notNamed = "it is no object of names and values"

const whenFull = (
  current: CurrentRun["Service"],
  values: Values,
  given: FullOptions | undefined
): Effect.Effect<void, BufferFull | JournalError, CurrentRun> => {
  const options = readOptions(current, values, given)
  if (options === undefined) return Effect.void
  if (current.writer.isClosed) return whenEnded(current, namesOf(values).join(", "), options)
  if (options.onFull === "fail") {
    const message = `The buffer of run ${current.run.name} is full: ${why(current)}. Nothing of this call was kept.`
    return Effect.fail(new BufferFull({ message }))
  }
  if (options.durable === true) return Effect.andThen(current.flush, log(values, { ...plain(options), durable: true }))
  // While the disk takes nothing, waiting for it would stop the caller's work.
  if (current.onFull === "dropNewest" || current.writer.failure !== undefined) {
    return Effect.sync(() => {
      const names = namesOf(values)
      current.writer.refuse(`the buffer was full: ${why(current)}`, names.join(", "), names.length)
    })
  }
  return Effect.andThen(
    Effect.ignore(current.writer.commit),
    Effect.suspend(() => log(values, plain(options)))
  )
}

/** Each option read once; where one of them raises, all the values are refused. */
const readOptions = (
  { writer }: CurrentRun["Service"],
  values: Values,
  given: FullOptions | undefined
): FullOptions | undefined => {
  try {
    const { context, durable, onFull, step } = given ?? {}
    return {
      ...plain({ step, context }),
      ...(durable === true ? { durable } : {}),
      ...(onFull === "fail" ? { onFull } : {})
    }
  } catch (cause) {
    writer.refuse(raised, cause, namesOf(values).length)
    return undefined
  }
}

/** What was handed over in the place of an object counts as one. */
const namesOf = (values: unknown): ReadonlyArray<string> => {
  try {
    return Json.entriesOf(values)?.map(([name]) => name) ?? [describeValue(values)]
  } catch (cause) {
    return [describeValue(cause)]
  }
}

const plain = ({ context, step }: Maybe<LogOptions>): LogOptions => ({
  ...(step === undefined ? {} : { step }),
  ...(context === undefined ? {} : { context })
})

type Maybe<A> = { readonly [K in keyof A]: A[K] | undefined }

/**
 * Logs params: any JSON, kept nested. Another value for a key is kept, the last one shows.
 *
 * *Gotchas*: NaN and the infinities become texts, and so do whole numbers beyond ±(2^53 − 1); a function or a circle is refused and counted.
 */
export const logParams = (params: { readonly [key: string]: unknown }): Effect.Effect<void, never, CurrentRun> =>
  event("params", ({ writer }, time) => {
    const entries: Array<[string, JsonObject[string]]> = []
    const given = Json.entriesOf(params)
    if (given === undefined) return writer.refuse(`params: ${notNamed}`, params)
    for (const [key, value] of given) {
      const problem = Name.problem(key)
      const json = Json.normalise(value)
      if (problem !== undefined) writer.refuse(`param: ${problem}`, key)
      else if (json === undefined) writer.refuse("param: the value has no JSON form", key)
      else entries.push([key, json])
    }
    if (entries.length > 0) writer.params(time, Object.fromEntries(entries))
  })

/** Sets tags: labels, or keys with values. Another value for a key takes the place of the one before. */
export const setTags = (tags: NonNullable<RunOptions["tags"]>): Effect.Effect<void, never, CurrentRun> =>
  event("tags", ({ writer }, time) => {
    const legal = toTags(tags, (problem, key) => writer.refuse(`tag: ${problem}`, key))
    if (Object.keys(legal).length > 0) writer.event({ _tag: "Tags", time, tags: legal })
  })

/** Logs a text under a name. Steps as in `log`. */
export const logText = (name: string, text: string, options: LogOptions = {}): Effect.Effect<void, never, CurrentRun> =>
  event(name, ({ writer }, time) => {
    const { step, context = {} } = options
    const problem = Name.problem(name)
    if (problem !== undefined) writer.refuse(`text: ${problem}`, name)
    else if (typeof text !== "string") writer.refuse("text: a text must be text", name)
    else if (step !== undefined && !isStep(step)) writer.refuse(`text: ${stepProblem}`, name)
    else if (!isSeriesContext(context)) writer.refuse(`text: ${contextProblem}`, name)
    else writer.event({ _tag: "Text", time, name, context, step: writer.nextStep("text", name, context, step), text })
  })

/** Returns when everything logged in this run so far survives a power cut. */
export const flush: Effect.Effect<void, JournalError, CurrentRun> = CurrentRun.use((current) =>
  current.writer.isClosed ? whenEnded(current, "flush", { durable: true }) : current.flush
)

/** Tags with legal keys and values; the others are told to `refuse`. */
export const toTags = (
  tags: NonNullable<RunOptions["tags"]>,
  refuse: (problem: string, what: unknown) => void
): { readonly [key: string]: string } => {
  const given: Array<[unknown, unknown]> | undefined = Array.isArray(tags)
    ? tags.map((label: unknown) => [label, ""])
    : Json.entriesOf(tags)
  if (given === undefined) refuse(notNamed, tags)
  const legal: Array<[string, string]> = []
  for (const [key, value] of given ?? []) {
    const problem = Name.problem(key) ?? valueProblem(value)
    if (problem !== undefined) refuse(problem, key)
    else if (typeof key === "string" && typeof value === "string") legal.push([key, value])
  }
  return Object.fromEntries(legal)
}

/** Longest value of a tag, in bytes of UTF-8 (J5.22). */
const tagBytesMax = 65_536

const valueProblem = (value: unknown): string | undefined => {
  if (typeof value !== "string") return "a tag's value must be text"
  if (value.length > tagBytesMax || (value.length > tagBytesMax / 3 && Name.utf8Bytes(value) > tagBytesMax)) {
    return `a tag's value must not exceed ${tagBytesMax} bytes`
  }
  return value.isWellFormed() ? undefined : "a tag's value must not hold a lone surrogate"
}
