/**
 * A plugin is one plain value: who it is, what a user configures, and the Layer that comes of it. In code it is passed as a value; at run
 * time the same value is found by its id.
 *
 * `make` closes over decode and JSON Schema: a config is always decoded by the plugin's own copy of Effect, and no Schema crosses over
 * (Schemas of one copy decoded by another fail; Layers, Effects and Streams of another copy run).
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { isJsonObject, type Json, type JsonObject } from "./JsonObject.ts"
import type { BackendReference } from "./RunEvent.ts"

/** A config that its plugin's Schema refuses. `message` lists the paths and what is wrong with each, never the value. */
export class PluginConfigError extends Schema.TaggedError<PluginConfigError>()("PluginConfigError", {
  plugin: Schema.String,
  message: Schema.String
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
  /** The config as the run-started record may keep it: without secrets. */
  readonly recorded: Effect.Effect<JsonObject, PluginConfigError>
}

/** No argument is needed when every key of the config may be left out. */
export type ConfigArguments<Input> = {} extends Input ? readonly [input?: Input] : readonly [input: Input]

export interface Plugin<in out Provides, in out Input, out E, out R> extends Manifest {
  readonly plugin: (...input: ConfigArguments<Input>) => ConfiguredPlugin<Provides, E | PluginConfigError, R>
  /** The same for a config that comes from outside: a journal, a file, the environment. */
  readonly fromUnknown: (input: unknown) => ConfiguredPlugin<Provides, E | PluginConfigError, R>
  /** JSON Schema of the config, for editors and for the generated tables. */
  readonly jsonSchema: () => unknown
}

/**
 * @example
 * ```ts
 * export const plugin = Plugin.make({
 *   id: "backend.local", kind: "backend", version: "0.1.0", stability: "beta",
 *   description: "Keeps runs in an embedded SQLite database.",
 *   config: LocalConfig,
 *   layer: (config) => LocalBackend.layer(config)
 * })
 * ```
 */
export const make = <Provides, Config, Input, E, R>(
  definition: Manifest & {
    readonly config: Schema.Codec<Config, Input>
    readonly layer: (config: Config) => Layer.Layer<Provides, E, R>
  }
): Plugin<Provides, Input, E, R> => {
  const { config, layer, ...manifest } = definition
  const decode = Schema.decodeUnknownEffect(config, { errors: "all", onExcessProperty: "error" })
  const decoded = (input: unknown) =>
    Effect.mapError(
      decode(input),
      (error) =>
        new PluginConfigError({
          plugin: manifest.id,
          message: `The config of ${manifest.id} is not usable: ${error.message}`
        })
    )
  const fromUnknown = (input: unknown): ConfiguredPlugin<Provides, E | PluginConfigError, R> => ({
    ...manifest,
    layer: Layer.unwrap(Effect.map(decoded(input), layer)),
    recorded: Effect.map(decoded(input), (value) => withoutSecrets(input, value))
  })
  return {
    ...manifest,
    fromUnknown,
    plugin: (...[input]) => fromUnknown(input ?? {}),
    jsonSchema: () => Schema.toJsonSchemaDocument(config, { onExcessProperty: "error" })
  }
}

/** How a run-started record names it, under `name`. */
export const reference = (
  name: string,
  plugin: Pick<ConfiguredPlugin<unknown, unknown, unknown>, "id" | "version" | "recorded">
): Effect.Effect<BackendReference, PluginConfigError> =>
  Effect.map(plugin.recorded, (config) => ({ name, plugin: plugin.id, version: plugin.version, config }))

/** The input, less each key whose decoded value is a secret, and less the user info of URLs. */
const withoutSecrets = (input: unknown, decoded: unknown): JsonObject => {
  if (!isJsonObject(input)) return {}
  const entries: Array<[string, Json]> = []
  for (const [key, value] of Object.entries(input)) {
    const counterpart: unknown = Predicate.hasProperty(decoded, key) ? decoded[key] : undefined
    if (Redacted.isRedacted(counterpart)) continue
    if (typeof value === "string") entries.push([key, value.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, "$1")])
    else if (isJsonObject(value)) entries.push([key, withoutSecrets(value, counterpart)])
    else entries.push([key, value])
  }
  return Object.fromEntries(entries)
}
