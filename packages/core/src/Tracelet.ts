/**
 * The composition root of an app: backends, routes, collectors and processors as one Layer. The keys of `backends` are their names here:
 * a route to a name that is not among them does not compile, and neither does a layer whose services are not all provided.
 *
 * Many plugins provide the same `Backend` service, and merging layers that do keeps only the last; so each plugin's layer is built by
 * itself, with the shared memo map, and its service is taken out.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { Backend } from "./Backend.ts"
import { CircuitBreaker } from "./CircuitBreaker.ts"
import { CurrentRun } from "./CurrentRun.ts"
import type { Target } from "./Delivery.ts"
import { Journal, type JournalError } from "./Journal.ts"
import * as Name from "./Name.ts"
import { deliver, type RunDelivery } from "./Pipeline.ts"
import { build as buildPlugin, reference, type ConfiguredPlugin, type PluginConfigError } from "./Plugin.ts"
import type { Processor } from "./Processor.ts"
import * as Redaction from "./Redaction.ts"
import * as Retention from "./Retention.ts"
import type { Route } from "./Route.ts"
import * as Run from "./Run.ts"
import { runStarted, type BackendReference, type RunFinished, type RunStarted } from "./RunEvent.ts"
import { Source } from "./Source.ts"
import { StatefulProcessor, type Configured } from "./StatefulProcessor.ts"
import { RunOptionsError, toTags, Tracker, type Run as RunUnderWay, type RunOptions } from "./Tracker.ts"
import { describeValue } from "./internal/describeValue.ts"
import { now, type JournalWriter } from "./internal/journalWriter.ts"
import { beginRun } from "./internal/spans.ts"
import { layerProblem, runProblem, unwantedOption } from "./internal/wiring.ts"

/** Version of all packages of a release. */
export const version = "0.1.0"

export interface Backends {
  readonly [name: string]: ConfiguredPlugin<Backend, unknown, unknown>
}

/** A pure processor, or the plugin of a stateful one. */
export type AnyProcessor = Processor | ConfiguredPlugin<StatefulProcessor, unknown, unknown>

export interface Options<
  B extends Backends,
  C extends ReadonlyArray<ConfiguredPlugin<Source, unknown, unknown>>,
  P extends ReadonlyArray<AnyProcessor>
> {
  /** By their names here: 1 to 64 letters, digits, `_` and `-`. */
  readonly backends: B
  /** A backend not named here gets everything. */
  readonly routes?: { readonly [K in keyof NoInfer<B>]?: Route }
  /** Sample what surrounds each run, for as long as it runs. */
  readonly collectors?: C
  /**
   * Pure ones run in this order, in every lane, over what was captured and what was derived. Stateful ones take in what was captured, and
   * what they give lies in a derived journal beside it; two of one kind need names of their own.
   */
  readonly processors?: P
  /**
   * Longest wait, when the layer ends, for what is still on its way. Too short, and a run's last points arrive only when somebody
   * delivers the folder again; too long, and an app whose service is down ends late. Default 30 seconds.
   */
  readonly drain?: Duration.Input
  /** What `log` does when the buffer is full: wait for the writer, or count the values as lost. Default `block`. */
  readonly onFull?: "block" | "dropNewest"
  /** Bytes that may wait to be written, per run. Default 4 MiB. */
  readonly bufferBytes?: number
  /**
   * Which earlier runs of the folder are removed when the layer is built: those that ended longer ago than `age`, and the oldest until the
   * journals of all take no more than `bytes`. Only what is over and delivered whole, and a record of each stays. Default: none.
   */
  readonly retention?: { readonly age?: Duration.Input; readonly bytes?: number }
}

type ErrorOf<C> = C extends ConfiguredPlugin<infer _Provides, infer E, infer _R> ? E : never
type NeedsOf<C> = C extends ConfiguredPlugin<infer _Provides, infer _E, infer R> ? R : never

/** Most lanes of one backend that write at a time. */
const lanesAtOnce = 4

/** How often a resumed run that another delivers is asked for. */
const takeOverEvery = Duration.millis(100)

/** How a backend's name is refused. */
const nameProblem = (name: string): string =>
  `"${name}" is no name for a backend: use 1 to 64 letters, digits, _ and -.`

/** How a route to nowhere is refused. */
const routeProblem = (name: string, backends: Backends): string =>
  `There is a route to "${name}", which is none of the backends (${Object.keys(backends).join(", ")}).`

/** How a stateful processor's name is refused. */
const processorProblem = (name: string, others: ReadonlyArray<Configured>): string | undefined => {
  if (!Name.idPattern.test(name)) return `"${name}" is no name for a processor: use 1 to 64 letters, digits, _ and -.`
  if (!others.some((other) => other.name === name)) return undefined
  return `Two processors are called "${name}", and each needs a derived journal of its own: give one of them another \`name\`.`
}

export const layer = <
  const B extends Backends,
  const C extends ReadonlyArray<ConfiguredPlugin<Source, unknown, unknown>> = readonly [],
  const P extends ReadonlyArray<AnyProcessor> = readonly []
>(
  options: Options<B, C, P>
): Layer.Layer<
  Tracker,
  PluginConfigError | JournalError | RunOptionsError | ErrorOf<B[keyof B] | C[number] | P[number]>,
  Journal | NeedsOf<B[keyof B] | C[number] | P[number]>
> =>
  // What the plugins fail with and need is only known from the types of the record; the loop below sees `unknown`.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  Layer.effect(Tracker, make(options)) as Layer.Layer<
    Tracker,
    PluginConfigError | JournalError | RunOptionsError | ErrorOf<B[keyof B] | C[number] | P[number]>,
    Journal | NeedsOf<B[keyof B] | C[number] | P[number]>
  >

const make = Effect.fnUntraced(function* (
  options: Options<Backends, ReadonlyArray<ConfiguredPlugin<Source, unknown, unknown>>, ReadonlyArray<AnyProcessor>>
) {
  yield* checked("What Tracelet.layer was given", () => layerProblem(options))
  const longest = yield* toDuration("drain", options.drain ?? "30 seconds")
  const retention = yield* toPolicy(options.retention)
  const journal = yield* Journal
  const scope = yield* Effect.scope
  const memoMap = yield* Layer.CurrentMemoMap
  const build = <S, E, R>(plugin: ConfiguredPlugin<S, E, R>, backend?: string) =>
    buildPlugin(plugin, memoMap, scope, backend)

  const pure: Array<Processor> = []
  const stateful: Array<Configured> = []
  for (const processor of options.processors ?? []) {
    if ("apply" in processor) {
      pure.push(processor)
      continue
    }
    const service = yield* serviceOf(yield* build(processor), StatefulProcessor, processor, "processors")
    const problem = processorProblem(service.name, stateful)
    if (problem !== undefined) return yield* new RunOptionsError({ message: problem })
    stateful.push({ ...service, id: processor.id, version: processor.version, config: yield* processor.recorded })
  }

  const routes = new Map(Object.entries(options.routes ?? {}))
  // The types see it in a literal; a record that was put together elsewhere may have more keys than its type.
  const astray = [...routes.keys()].find((name) => !Object.hasOwn(options.backends, name))
  if (astray !== undefined) return yield* new RunOptionsError({ message: routeProblem(astray, options.backends) })
  const references: Array<BackendReference> = []
  const targets = new Map<string, Target>()
  for (const [name, plugin] of Object.entries(options.backends)) {
    if (!Name.idPattern.test(name)) return yield* new RunOptionsError({ message: nameProblem(name) })
    targets.set(name, {
      backend: Redaction.guard(
        yield* serviceOf(yield* build(plugin, name), Backend, plugin, "backends"),
        yield* plugin.secrets
      ),
      route: routes.get(name),
      processors: pure,
      permits: yield* Semaphore.make(lanesAtOnce),
      breaker: new CircuitBreaker(),
      credentials: plugin.credentials
    })
    references.push(yield* reference(name, plugin))
  }
  yield* Effect.forkScoped(prune(journal, retention, targets))
  const sources: Array<Source["Service"]> = []
  for (const plugin of options.collectors ?? []) {
    sources.push(yield* serviceOf(yield* build(plugin), Source, plugin, "collectors"))
  }

  const deliveries = new Set<RunDelivery>()
  // Of its own, since what is forked from the layer's scope later would be closed before the finalizer here, which waits for it.
  const delivering = yield* Scope.make()
  yield* Effect.addFinalizer((exit) =>
    Effect.andThen(drain(deliveries, longest, journal.folder), Scope.close(delivering, exit))
  )

  /** Delivers until the run is done, beyond its own end, and then lets go of what that took. */
  const deliverInLayer = Effect.fnUntraced(function* (started: RunStarted) {
    const own = yield* Scope.fork(delivering)
    const run = yield* Effect.provideService(journal.open(started.run.id), Scope.Scope, own)
    const delivery = yield* Effect.provideService(deliver(run, started, targets, stateful), Scope.Scope, own)
    if (delivery === undefined) {
      yield* Scope.close(own, Exit.void)
      return undefined
    }
    deliveries.add(delivery)
    return {
      wake: delivery.wake,
      release: whenDone(delivery).pipe(
        Effect.andThen(Effect.sync(() => deliveries.delete(delivery))),
        Effect.andThen(Scope.close(own, Exit.void)),
        Effect.forkIn(delivering)
      )
    }
  })

  const startRun = Effect.fnUntraced(function* (runOptions: RunOptions) {
    const { earlier, parent } = yield* related(journal, runOptions)
    const id = earlier?.run.id ?? (yield* journal.newRunId)
    const given = yield* describe(id, runOptions)
    const run = earlier === undefined ? given : { ...earlier.run, tags: { ...earlier.run.tags, ...given.tags } }
    const span = yield* beginRun(run)
    yield* Effect.addFinalizer((exit) => span.end(endOf(exit)))
    const started = runStarted(id, {
      ...run,
      time: yield* now,
      backends: references,
      client: { language: "typescript", version: runtimeVersion(), tracelet: version },
      origin: yield* journal.storage.origin,
      ...(parent === undefined ? {} : { parent }),
      ...(span.trace === undefined ? {} : { trace: span.trace })
    })
    const delivery = yield* Effect.acquireRelease(
      Effect.succeed<{ current: Effect.Success<ReturnType<typeof deliverInLayer>> }>({ current: undefined }),
      (held) =>
        Effect.gen(function* () {
          if (earlier !== undefined && held.current === undefined) {
            held.current = yield* Effect.orElseSucceed(deliverInLayer(earlier), () => undefined)
          }
          if (held.current !== undefined) yield* Effect.andThen(held.current.wake, held.current.release)
        })
    )
    const writer = yield* journal.write({
      run: id,
      role: "primary",
      resumes: earlier !== undefined,
      ...(options.bufferBytes === undefined ? {} : { bufferBytes: options.bufferBytes })
    })
    writer.event(started)
    yield* writer.commit
    if (earlier !== undefined && Object.keys(given.tags).length > 0) {
      writer.event({ _tag: "Tags", time: started.time, tags: given.tags })
    }
    delivery.current = yield* deliverInLayer(earlier ?? started)
    // Whoever delivered the run until now may be about to let go of it.
    if (earlier !== undefined && delivery.current === undefined) {
      const takeOver = Effect.uninterruptible(
        Effect.map(deliverInLayer(earlier), (taken) => void (delivery.current = taken))
      )
      yield* Effect.sleep(takeOverEvery).pipe(
        Effect.andThen(Effect.ignore(takeOver)),
        Effect.repeat({ until: () => delivery.current !== undefined }),
        Effect.forkScoped
      )
    }
    yield* Effect.addFinalizer((exit) => finish(run.name, writer, exit))
    for (const source of sources) yield* Effect.forkScoped(observe(journal, source, id, writer.id))
    const onFull = options.onFull ?? "block"
    const current = { run, writer, clock: yield* Clock.Clock, onFull, flush: writer.flush }
    const provide: RunUnderWay["provide"] = (effect) => span.provide(Effect.provideService(effect, CurrentRun, current))
    return { ...run, provide } satisfies RunUnderWay
  })

  return Tracker.of({ backends: [...targets.keys()], startRun })
})

/** Fails with what `find` finds; where options cannot even be read, with that. */
const checked = (what: string, find: () => string | undefined): Effect.Effect<void, RunOptionsError> =>
  Effect.flatMap(
    Effect.try({
      try: find,
      catch: (cause) => new RunOptionsError({ message: `${what} cannot be read: ${describeValue(cause)}.` })
    }),
    (problem) => (problem === undefined ? Effect.void : Effect.fail(new RunOptionsError({ message: problem })))
  )

const toDuration = (path: string, input: Duration.Input): Effect.Effect<Duration.Duration, RunOptionsError> =>
  Effect.mapError(
    Effect.fromOption(Duration.fromInput(input)),
    () =>
      new RunOptionsError({
        message: unwantedOption(path, input, 'a duration such as "30 seconds"')
      })
  )

const toPolicy = Effect.fnUntraced(function* (
  retention: { readonly age?: Duration.Input; readonly bytes?: number } | undefined
) {
  if (retention === undefined) return undefined
  const { age, bytes } = retention
  const policy: Retention.Policy = {
    ...(age === undefined ? {} : { age: yield* toDuration("retention.age", age) }),
    ...(bytes === undefined ? {} : { bytes })
  }
  return policy
})

/** What a plugin was put here for; only types say that its layer gives it. */
const serviceOf = <I, S>(
  built: Context.Context<I>,
  service: Context.Key<I, S>,
  { id }: { readonly id: string },
  place: string
): Effect.Effect<S, RunOptionsError> =>
  Effect.mapError(
    Effect.fromOption(Context.getOption(built, service)),
    () => new RunOptionsError({ message: `${id} is none of what \`${place}\` of Tracelet.layer takes.` })
  )

/** Beside everything else, and never in its way. */
const prune = (
  journal: Journal["Service"],
  policy: Retention.Policy | undefined,
  targets: ReadonlyMap<string, Target>
): Effect.Effect<void> => {
  if (policy === undefined) return Effect.void
  return Retention.apply(journal, policy, () => Effect.succeed(targets)).pipe(
    Effect.catchCause((cause) => Effect.logWarning("tracelet: old runs are not removed", cause)),
    Effect.asVoid
  )
}

/** The run-started record of the run that is resumed, and the id of the run around this one. */
const related = Effect.fnUntraced(function* (journal: Journal["Service"], options: RunOptions) {
  yield* checked("A run's options", () => runProblem(options))
  const idOf = (what: "parent" | "resume") =>
    Effect.try({
      try: () => {
        const value = options[what]
        return typeof value === "object" && value !== null ? (value.id ?? "") : value
      },
      catch: (cause) => new RunOptionsError({ message: `A run's ${what} cannot be read: ${describeValue(cause)}.` })
    }).pipe(
      Effect.filterOrFail(
        (id) => id === undefined || (typeof id === "string" && Name.idPattern.test(id)),
        () => new RunOptionsError({ message: `A run's ${what} is no run and no id of one.` })
      )
    )
  const resumed = yield* idOf("resume")
  if (resumed !== undefined) {
    const id = Run.RunId.make(resumed)
    const known = yield* Effect.scoped(
      Effect.flatMap(journal.open(id), (run) =>
        Effect.flatMap(journal.runs, (ids) => (ids.includes(id) ? run.started : Effect.undefined))
      )
    )
    if (known === undefined) {
      const message = `There is no run ${resumed} in ${journal.folder} to go on with: \`tracelet runs\` lists those there are.`
      return yield* new RunOptionsError({ message })
    }
    return { earlier: known, parent: known.parent }
  }
  const parent = yield* idOf("parent")
  if (parent !== "current") return { parent: parent === undefined ? undefined : Run.RunId.make(parent) }
  const around = yield* Effect.serviceOption(CurrentRun)
  if (Option.isSome(around)) return { parent: around.value.run.id }
  return yield* new RunOptionsError({ message: 'There is no run around this one for `parent: "current"`.' })
})

const withDefaults = (
  id: Run.RunId,
  { project = Run.defaultProject, name = Run.defaultName(id), tags = {} }: RunOptions
) => ({ project, name, tags })

const describe = Effect.fnUntraced(function* (id: Run.RunId, options: RunOptions) {
  // As untyped data comes, it may be anything, and may raise when it is read.
  yield* checked("A run's options", () => runProblem(options))
  const { project, name, tags } = yield* Effect.try({
    try: () => withDefaults(id, options),
    catch: (cause) => new RunOptionsError({ message: `A run's options cannot be read: ${describeValue(cause)}.` })
  })
  for (const text of [project, name]) {
    const problem = Name.problem(text)
    if (problem !== undefined) return yield* new RunOptionsError({ message: `A run's project and name: ${problem}.` })
  }
  const problems: Array<string> = []
  const legal = yield* Effect.try({
    try: () => toTags(tags, (problem) => problems.push(problem)),
    catch: (cause) => new RunOptionsError({ message: `A run's tags cannot be read: ${describeValue(cause)}.` })
  })
  if (problems[0] !== undefined) return yield* new RunOptionsError({ message: `A run's tags: ${problems[0]}.` })
  return { id, project, name, tags: legal }
})

/** How a run ended. A failure counts before an interruption, as it does among writers (J10.2). */
const endOf = (exit: Exit.Exit<unknown, unknown>): Pick<RunFinished, "status" | "error"> => {
  if (Exit.isSuccess(exit)) return { status: "finished" }
  return Cause.hasInterruptsOnly(exit.cause) ? { status: "killed" } : { status: "failed", error: describeCause(exit) }
}

/** The end record, and what was refused. */
const finish = (name: string, writer: JournalWriter, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const time = yield* now
    writer.event({ _tag: "RunFinished", time, ...endOf(exit) })
    writer.close()
    const failure = yield* Effect.match(writer.flush, { onFailure: (error) => error, onSuccess: () => undefined })
    for (const [reason, { count, example }] of writer.refusals) {
      const values = count === 1 ? "a value" : `${count} values`
      yield* Effect.logWarning(`tracelet: ${values} of run ${name} not kept: ${reason} (${shorten(example)})`)
    }
    if (failure === undefined) return
    const lost = writer.missing
    const also = lost === 0 ? "" : `, and ${lost} events that were logged are lost`
    yield* Effect.logError(`tracelet could not write the end of run ${name}${also}: ${failure.message}`)
  })

/** A name as a log line can hold it. */
const shorten = (text: string): string => JSON.stringify(text.toWellFormed().slice(0, 60))

/** Longest text of an error in an end record (journal.md J5.6). */
const errorLengthMax = 4_096

const describeCause = (exit: Exit.Failure<unknown, unknown>): string => {
  const reason = exit.cause.reasons.find(({ _tag }) => _tag !== "Interrupt")
  const error = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : undefined
  const text = error instanceof Error ? `${error.name}: ${error.message}` : describeValue(error)
  return text.slice(0, errorLengthMax).toWellFormed()
}

/** Samples of a collector, in a journal of their own beside the writer they watch. */
const observe = (journal: Journal["Service"], source: Source["Service"], run: Run.RunId, of: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const writer = yield* journal.write({ run, role: "observer", of })
      yield* Stream.runForEach(source.samples, ({ values, context }) =>
        Effect.map(now, (time) => values.forEach((value, name) => writer.point(name, value, undefined, context, time)))
      )
    })
  ).pipe(Effect.catchCause((cause) => Effect.logWarning(`tracelet: the collector ${source.id} stopped`, cause)))

const whenDone = (delivery: RunDelivery): Effect.Effect<void> =>
  Effect.suspend(() => (delivery.isDone() ? Effect.void : Effect.sleep("50 millis"))).pipe(
    Effect.repeat({ until: () => delivery.isDone() }),
    Effect.asVoid
  )

/** Waits for what is on its way; says what is left and how it is sent later. */
const drain = (deliveries: ReadonlySet<RunDelivery>, longest: Duration.Duration, folder: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Effect.forEach([...deliveries], ({ wake }) => wake, { discard: true })
    yield* Effect.forEach([...deliveries], ({ settled }) => settled, { concurrency: "unbounded", discard: true }).pipe(
      Effect.timeoutOption(longest)
    )
    const left = [...deliveries].filter((delivery) => !delivery.isDone())
    if (left.length === 0) return
    const names = left.map(({ started }) => started.run.name).join(", ")
    yield* Effect.logWarning(
      `tracelet: not everything of ${names} is delivered. What its journal holds is kept in ${folder}; \`tracelet sync\` sends it.`
    )
  })

declare const process: { readonly version?: string } | undefined

/** The JavaScript runtime's version, where it says it. */
const runtimeVersion = (): string => (typeof process === "undefined" ? "" : (process?.version ?? ""))
