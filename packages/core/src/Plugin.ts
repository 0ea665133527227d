/**
 * A plugin is one plain value: who it is, what a user configures, and the Layer that comes of it. In code it is passed as a value; at run
 * time the same value is found by its id.
 *
 * `make` closes over decode and JSON Schema: a config is always decoded by the plugin's own copy of Effect, and no Schema crosses over
 * (Schemas of one copy decoded by another fail; Layers, Effects and Streams of another copy run).
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import { credentialVariables, isCredential, tableOf, type ConfigTable, type Variables } from "./ConfigKey.ts"
import { isJsonObject, type Json, type JsonObject, type TextObject } from "./JsonObject.ts"
import type { BackendReference } from "./RunEvent.ts"
import { attributes, spans } from "./Telemetry.ts"
import { fill, withoutUser, type Filled, type Provenance } from "./internal/environment.ts"
import { spanned } from "./internal/spans.ts"

/**
 * A config that its plugin's Schema refuses. `message` lists the paths and what is wrong with each, with the variables that a value came from
 * or can come from, never the value.
 */
export class PluginConfigError extends Schema.TaggedError<PluginConfigError>()("PluginConfigError", {
  plugin: Schema.String,
  message: Schema.String,
  /** All that is wrong is that secrets are missing: a host that has them can go on. */
  isSecretMissing: Schema.Boolean
}) {}

export type Kind = "backend" | "collector" | "processor" | "framework"

/**
 * `experimental`: may change in any release. `beta`: what its README promises is held by tests. `stable`: proven in use, and changed only
 * with a major version.
 */
export type Stability = "experimental" | "beta" | "stable"

/** What is known of a plugin before it is configured. */
export interface Manifest {
  /** Kind and name: `backend.local`, `collector.system`. */
  readonly id: string
  readonly kind: Kind
  readonly version: string
  readonly stability: Stability
  /** One sentence for lists. */
  readonly description: string
}

/** A plugin with its config: what an app puts into a record, under the name it has there. */
export interface ConfiguredPlugin<in out Provides, out E, out R> extends Manifest {
  /** Fails with `PluginConfigError` when the config does not decode; touches no network. */
  readonly layer: Layer.Layer<Provides, E, R>
  /** Every secret of the config, to be looked for in what the service says. */
  readonly secrets: Effect.Effect<ReadonlyArray<string>, PluginConfigError>
  /** Variables that its credentials come from, to be named where they are refused. */
  readonly credentials: ReadonlyArray<string>
  /** The config as the run-started record may keep it: without secrets, with what the environment gave. It leads any host to the same service. */
  readonly recorded: Effect.Effect<JsonObject, PluginConfigError>
}

/** No argument is needed when every key of the config may be left out. */
export type ConfigArguments<Input> = {} extends Input ? readonly [input?: Input] : readonly [input: Input]

export interface Plugin<in out Provides, in out Input, out E, out R> extends Manifest {
  /** What the input leaves out comes from the environment, by way of Effect's `ConfigProvider`. */
  readonly plugin: (...input: ConfigArguments<Input>) => ConfiguredPlugin<Provides, E | PluginConfigError, R>
  /** The same for a config that was recorded, with a host's secrets put over it. The environment gives secrets that are missing, and nothing else. */
  readonly fromUnknown: (input: unknown) => ConfiguredPlugin<Provides, E | PluginConfigError, R>
  /** The secrets that this host's environment has for a config that was recorded, by key: to be handed to another process. */
  readonly credentialsFor: (recorded: unknown) => Effect.Effect<TextObject, PluginConfigError>
  /** Keys of the config, with their variables: for lists and generated tables. */
  readonly config: ConfigTable
  /** JSON Schema of the config, for editors. */
  readonly jsonSchema: () => unknown
}

/** An input whose `Keys` the environment can give. */
export type Fillable<Input, Keys extends keyof Input> = [Keys] extends [never]
  ? Input
  : { readonly [K in keyof Input as K extends Keys ? never : K]: Input[K] } & { readonly [K in Keys]?: Input[K] }

/**
 * @example
 * ```ts
 * export const plugin = Plugin.make({
 *   id: "backend.mlflow", kind: "backend", version: "0.1.0", stability: "experimental",
 *   description: "Writes runs to an MLflow tracking server.",
 *   config: MlflowConfig,
 *   environment: { trackingUri: ["MLFLOW_TRACKING_URI"], token: ["MLFLOW_TRACKING_TOKEN"] },
 *   address: "trackingUri", credential: "token",
 *   layer: (config) => MlflowBackend.layer(config)
 * })
 * ```
 */
export const make = <Provides, Config, Input, E, R, const Keys extends keyof Input & string = never>(
  definition: Manifest & {
    readonly config: Schema.Codec<Config, Input>
    /** Variables that give a key, in order; each also has `TRACELET_<PLUGIN>_<KEY>` before them. Secret are the keys that decode to `Redacted`. */
    readonly environment?: { readonly [K in Keys]: Variables }
    /** The key that says where the service is: what a trainer calls `backend_url`. */
    readonly address?: NoInfer<Keys>
    /** The key that says who asks: what a trainer calls `api_key`. */
    readonly credential?: NoInfer<Keys>
    /** Groups of ways to say one thing: who gives a key of one way gets none of another way from the environment. */
    readonly alternatives?: ReadonlyArray<ReadonlyArray<ReadonlyArray<NoInfer<Keys>>>>
    readonly layer: (config: Config) => Layer.Layer<Provides, E, R>
  }
): Plugin<Provides, Fillable<Input, Keys>, E, R> => {
  const { config, environment, address, credential, alternatives, layer, ...manifest } = definition
  const table = tableOf(manifest.id, config, { environment: environment ?? {}, address, credential, alternatives })
  const decode = Schema.decodeUnknownEffect(config, { errors: "all", onExcessProperty: "error" })
  const filled = (input: unknown, provenance: Provenance) =>
    Effect.mapError(fill(table, input, provenance), ({ message }) =>
      unusable(manifest.id, `the environment cannot be read: ${message}`)
    )
  const decoded = (input: unknown, provenance: Provenance) =>
    Effect.flatMap(filled(input, provenance), (found) =>
      Effect.mapBoth(decode(found.input), {
        onFailure: (error) => refused(manifest.id, table, found, provenance, error),
        onSuccess: (value) => ({ ...found, value })
      })
    )
  const configured = (
    input: unknown,
    provenance: Provenance
  ): ConfiguredPlugin<Provides, E | PluginConfigError, R> => ({
    ...manifest,
    layer: Layer.unwrap(Effect.map(decoded(input, provenance), ({ value }) => layer(value))),
    secrets: Effect.map(decoded(input, provenance), secretsIn),
    credentials: credentialVariables(table),
    recorded: Effect.map(decoded(input, provenance), (one) => {
      const kept = Object.entries(withoutSecrets(one.input, one.value))
      return Object.fromEntries(kept.filter(([key]) => !one.fromUrl.has(key)))
    })
  })
  return {
    ...manifest,
    fromUnknown: (input) => configured(input, "recorded"),
    plugin: (...[input]) => configured(input ?? {}, "own"),
    credentialsFor: (recorded) =>
      Effect.map(filled(recorded, "recorded"), ({ input, variableByKey }) =>
        Object.fromEntries(
          Object.entries(isJsonObject(input) ? input : {}).flatMap(([key, value]) =>
            variableByKey.has(key) && typeof value === "string" ? [[key, value]] : []
          )
        )
      ),
    config: table,
    jsonSchema: () => Schema.toJsonSchemaDocument(config, { onExcessProperty: "error" })
  }
}

const unusable = (plugin: string, problem: string, isSecretMissing = false): PluginConfigError =>
  new PluginConfigError({ plugin, message: `The config of ${plugin} is not usable: ${problem}`, isSecretMissing })

/** The Schema's own words, and the variables behind the keys that it names. */
const refused = (
  plugin: string,
  table: ConfigTable,
  { input, variableByKey }: Filled,
  provenance: Provenance,
  { issue, message }: Schema.SchemaError
): PluginConfigError => {
  const { issues } = formatted(issue)
  const named = table.keys.filter(({ name }) => issues.some(({ path }) => path?.length === 1 && path[0] === name))
  const missing = named.filter(({ name }) => !Predicate.hasProperty(input, name))
  const sources = named.flatMap(({ name, variables }) => {
    const from = variableByKey.get(name)
    if (from !== undefined) return [`${name} was taken from ${from}.`]
    const isOpen = provenance === "own" || isCredential(table, name)
    const isOffered = isOpen && variables.length > 0 && !Predicate.hasProperty(input, name)
    return isOffered ? [`${name} may be given by ${variables.toReversed().join(" or ")}.`] : []
  })
  const isSecretMissing = missing.length === issues.length && missing.every(({ isSecret }) => isSecret)
  return unusable(plugin, [message, ...sources].join("\n"), isSecretMissing)
}

const formatted = SchemaIssue.makeFormatterStandardSchemaV1()

/** How a run-started record names it, under `name`. */
export const reference = (
  name: string,
  plugin: Pick<ConfiguredPlugin<unknown, unknown, unknown>, "id" | "version" | "recorded">
): Effect.Effect<BackendReference, PluginConfigError> =>
  Effect.map(plugin.recorded, (config) => ({ name, plugin: plugin.id, version: plugin.version, config }))

/**
 * Builds the layer of a plugin into `scope`, under a span of its own. The memo map is that of the host: what two plugins need is built once.
 *
 * @param backend - its name here, where it is one
 */
export const build = <Provides, E, R>(
  plugin: Pick<ConfiguredPlugin<Provides, E, R>, "id" | "layer">,
  memoMap: Layer.MemoMap,
  scope: Scope.Scope,
  backend?: string
): Effect.Effect<Context.Context<Provides>, E, R> =>
  spanned(Layer.buildWithMemoMap(plugin.layer, memoMap, scope), spans.pluginStart.name, () => ({
    attributes: {
      [attributes.plugin.name]: plugin.id,
      ...(backend === undefined ? {} : { [attributes.backend.name]: backend })
    }
  }))

const secretsIn = ({ value, input, fromUrl }: Filled & { readonly value: unknown }): ReadonlyArray<string> => {
  const found: Array<string> = []
  const collect = (part: unknown): void => {
    const inside: unknown = Redacted.isRedacted(part) ? Redacted.value(part) : undefined
    if (typeof inside === "string") found.push(inside)
    else if (isJsonObject(part) && !Redacted.isRedacted(part)) Object.values(part).forEach(collect)
  }
  collect(value)
  for (const [key, text] of Object.entries(isJsonObject(input) ? input : {})) {
    if (fromUrl.has(key) && typeof text === "string") found.push(text)
  }
  return found
}

/** The input, less each key whose decoded value is a secret, and less the user info of URLs. */
const withoutSecrets = (input: unknown, decoded: unknown): JsonObject => {
  if (!isJsonObject(input)) return {}
  const entries: Array<[string, Json]> = []
  for (const [key, value] of Object.entries(input)) {
    const counterpart: unknown = Predicate.hasProperty(decoded, key) ? decoded[key] : undefined
    if (Redacted.isRedacted(counterpart)) continue
    if (typeof value === "string") entries.push([key, withoutUser(value)])
    else if (isJsonObject(value)) entries.push([key, withoutSecrets(value, counterpart)])
    else entries.push([key, value])
  }
  return Object.fromEntries(entries)
}
