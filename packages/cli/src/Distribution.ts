/**
 * The backends and stateful processors that come with tracelet, found by the id of their plugin, and how a run's record of backends becomes
 * targets of its delivery, and its pin of processors these. These lists are the only place that names built-in plugins; the agent and every
 * command that delivers take theirs here.
 *
 * A backend that cannot be had never fails anything: it becomes `missing` or `error` with a reason, and the others go on.
 */
import * as LocalPlugin from "@tracelet/backend-local/LocalPlugin"
import * as MlflowPlugin from "@tracelet/backend-mlflow/MlflowPlugin"
import { Backend } from "@tracelet/core/Backend"
import { CircuitBreaker } from "@tracelet/core/CircuitBreaker"
import type { ConfigTable } from "@tracelet/core/ConfigKey"
import type { Target } from "@tracelet/core/Delivery"
import { Journal } from "@tracelet/core/Journal"
import { isJsonObject, type Json, type JsonObject, type TextObject } from "@tracelet/core/JsonObject"
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as PinnedProcessors from "@tracelet/core/PinnedProcessors"
import type { Targets, Unavailable } from "@tracelet/core/Pipeline"
import * as Plugin from "@tracelet/core/Plugin"
import * as Redaction from "@tracelet/core/Redaction"
import type { BackendReference, RunStarted } from "@tracelet/core/RunEvent"
import type { RunJournal } from "@tracelet/core/RunJournal"
import { StatefulProcessor, type Configured } from "@tracelet/core/StatefulProcessor"
import * as OtlpBackend from "@tracelet/opentelemetry/OtlpBackend"
import * as Reduce from "@tracelet/plugins/Reduce"
import * as Summarise from "@tracelet/plugins/Summarise"
import * as Throttle from "@tracelet/plugins/Throttle"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"

/** A backend plugin as it is used here: its config comes from a journal. */
export interface BackendPlugin extends Plugin.Manifest {
  readonly fromUnknown: (config: unknown) => Plugin.ConfiguredPlugin<Backend, Plugin.PluginConfigError, Journal>
  readonly credentialsFor: (config: unknown) => Effect.Effect<TextObject, Plugin.PluginConfigError>
  readonly config: ConfigTable
}

/** A backend that is reached over HTTP, with the platform's own client. */
const overHttp = <Input, E>(
  plugin: Plugin.Plugin<Backend, Input, E, HttpClient.HttpClient>
): Omit<typeof plugin, "fromUnknown" | "plugin"> & {
  readonly fromUnknown: (config: unknown) => Plugin.ConfiguredPlugin<Backend, E | Plugin.PluginConfigError, never>
} => ({
  ...plugin,
  fromUnknown: (config) => {
    const configured = plugin.fromUnknown(config)
    return { ...configured, layer: Layer.provide(configured.layer, FetchHttpClient.layer) }
  }
})

/** The built-in backends. */
export const backends: ReadonlyArray<BackendPlugin> = [
  LocalPlugin.manifest,
  overHttp(MlflowPlugin.manifest),
  overHttp(OtlpBackend.manifest)
]

/** A stateful processor's plugin as it is used here: its config comes from a pin. */
export interface ProcessorPlugin extends Plugin.Manifest {
  readonly fromUnknown: (config: unknown) => Plugin.ConfiguredPlugin<StatefulProcessor, Plugin.PluginConfigError, never>
}

/** The built-in stateful processors. */
export const processors: ReadonlyArray<ProcessorPlugin> = [Reduce.manifest, Summarise.manifest, Throttle.manifest]

/** Requests under way at once in one backend, over all runs: few enough for a small server, enough to hide a slow one's answers. */
export const permitsDefault = 4

/** How long a backend that no run uses is kept for the next one. */
const idleTimeToLive = "5 seconds"

/** Secrets by the name a run gives its backend; they are put over the recorded config, which holds none. */
export type Secrets = ReadonlyMap<string, { readonly [key: string]: string }>

export interface TargetsOptions {
  readonly secrets?: Secrets
}

export interface Distribution {
  /** One target for each backend that the run names. What was built for it is let go when the scope closes. */
  readonly targetsOf: (started: RunStarted, options?: TargetsOptions) => Effect.Effect<Targets, never, Scope.Scope>
}

/**
 * Backends are built once for each plugin and config, at their first use, and shared by the runs that ask; so are their permits. The
 * scope is that of the host: when it closes all of them are closed.
 *
 * @param plugins - default: the built-in ones
 */
export const make = (
  plugins: ReadonlyArray<BackendPlugin> = backends
): Effect.Effect<Distribution, never, Journal | Scope.Scope> =>
  Effect.gen(function* () {
    const journal = yield* Journal
    const memoMap = Layer.CurrentMemoMap.forkOrCreate(yield* Effect.context())
    // Keyed by all that decides what is built, as JSON with sorted keys: the text never leaves this map.
    const built = yield* RcMap.make({
      idleTimeToLive,
      lookup: (key: string) =>
        Effect.gen(function* () {
          const [id, config]: readonly [string, unknown] = JSON.parse(key)
          const plugin = plugins.find((candidate) => candidate.id === id)
          if (plugin === undefined) return missing(id)
          const configured = plugin.fromUnknown(config)
          const context = yield* Plugin.build(configured, memoMap, yield* Effect.scope).pipe(
            Effect.provideService(Journal, journal)
          )
          return {
            backend: Redaction.guard(Context.get(context, Backend), yield* configured.secrets),
            route: undefined,
            processors: [],
            permits: Semaphore.makeUnsafe(permitsDefault),
            breaker: new CircuitBreaker(),
            credentials: configured.credentials
          } satisfies Target
        })
    })
    const targetOf = ({ name, plugin, config }: BackendReference, secrets: Secrets | undefined) =>
      RcMap.get(built, sortedJson([plugin, withSecrets(config, secrets?.get(name))])).pipe(
        Effect.catchCause((cause): Effect.Effect<Unavailable> => {
          const failure = cause.reasons.find((reason) => reason._tag === "Fail")
          if (failure === undefined && cause.reasons.every((reason) => reason._tag === "Interrupt")) {
            return Effect.interrupt
          }
          const defect = cause.reasons.find((reason) => reason._tag === "Die")?.defect
          const reason = failure?.error.message ?? `${plugin} could not be started: ${String(defect)}`
          // A host that has no secret waits for one; with it, it is built anew.
          return Effect.succeed({ state: failure?.error.isSecretMissing === true ? "held" : "error", reason })
        })
      )
    return {
      targetsOf: (started, options) =>
        Effect.map(
          Effect.forEach(started.backends, (reference) =>
            Effect.map(targetOf(reference, options?.secrets), (target) => [reference.name, target] as const)
          ),
          (entries) => new Map(entries)
        )
    }
  })

/**
 * The stateful processors that the run was begun with by whoever has delivered it so far. One that is not known here, or not in that version or
 * with that config, is left out: then the lanes of the run are held, and say so (journal.md J13.8).
 */
export const processorsOf = (
  run: RunJournal,
  plugins: ReadonlyArray<ProcessorPlugin> = processors
): Effect.Effect<ReadonlyArray<Configured>, StorageError> =>
  Effect.gen(function* () {
    const configured: Array<Configured> = []
    for (const { id, version, config, derived } of yield* PinnedProcessors.of(run)) {
      const plugin = plugins.find((candidate) => candidate.id === id && candidate.version === version)
      if (plugin === undefined) continue
      const context = yield* Layer.build(plugin.fromUnknown(config).layer).pipe(
        Effect.scoped,
        Effect.catch(({ message }) => Effect.as(Effect.logWarning(`Run ${run.id}: ${message}`), undefined))
      )
      const service = context === undefined ? undefined : Context.get(context, StatefulProcessor)
      if (service?.name === derived) configured.push({ ...service, id, version, config })
    }
    return configured
  })

/** For a command that delivers one run: `make` for the length of this scope. With several runs, call `make` once. */
export const targetsOf = (
  started: RunStarted,
  options?: TargetsOptions
): Effect.Effect<Targets, never, Journal | Scope.Scope> =>
  Effect.flatMap(make(), (distribution) => distribution.targetsOf(started, options))

/** Secrets that this process's environment has for the run's backends, for an agent that lacks them. A config that is no good has none. */
export const credentialsFor = (
  started: RunStarted,
  plugins: ReadonlyArray<BackendPlugin> = backends
): Effect.Effect<{ readonly [backend: string]: TextObject }> =>
  Effect.map(
    Effect.forEach(started.backends, ({ name, plugin, config }) => {
      const found = plugins.find(({ id }) => id === plugin)
      const credentials =
        found === undefined ? Effect.succeed({}) : Effect.orElseSucceed(found.credentialsFor(config), () => ({}))
      return Effect.map(credentials, (values) => [name, values] as const)
    }),
    (entries) => Object.fromEntries(entries.filter(([, values]) => Object.keys(values).length > 0))
  )

/** A trainer that names a backend it does not know records it with plugin `backend.<name>`. */
export const missing = (id: string): Unavailable => ({
  state: "missing",
  reason:
    `No plugin ${id} is installed here. What it should get is kept in the journal: ` +
    `correct the name, or install the plugin and run "tracelet sync".`
})

const withSecrets = (config: JsonObject, secrets: { readonly [key: string]: string } | undefined): JsonObject =>
  Object.fromEntries([...Object.entries(config), ...Object.entries(secrets ?? {})])

const sortedJson = (value: Json): string =>
  JSON.stringify(value, (_key, part: Json) =>
    isJsonObject(part) ? Object.fromEntries(Object.entries(part).toSorted(byKey)) : part
  )

const byKey = ([a]: readonly [string, Json], [b]: readonly [string, Json]): number => (a < b ? -1 : 1)
