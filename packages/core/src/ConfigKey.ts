/**
 * What is known of a config before anybody fills it in: its keys, read off its Schema, and for each the variables of the environment that
 * give it where nobody else does. Lists, generated tables and trainers in another language live by it.
 */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { isJsonObject, type Json } from "./JsonObject.ts"

/** What a text from the environment is turned into before the Schema sees it. */
export type TextType = "text" | "boolean" | "number"

export interface ConfigKey {
  readonly name: string
  readonly description: string
  /** Its decoded value is `Redacted`: it is never written down, and another host needs its own. */
  readonly isSecret: boolean
  readonly isRequired: boolean
  /** What it is when nobody gives it; left out where that is nothing, or a secret. */
  readonly default?: Json
  readonly type: TextType
  /** Put behind a bare number from the environment: a service's variable may be in seconds where the key wants a duration. */
  readonly unit?: string
  /** Names of variables, the first that is set counts. */
  readonly variables: ReadonlyArray<string>
}

export interface ConfigTable {
  readonly keys: ReadonlyArray<ConfigKey>
  /** The key that says where the service is: what every backend calls `backend_url`. */
  readonly address?: string
  /** The key that says who asks: what every backend calls `api_key`. */
  readonly credential?: string
  /** Groups of ways to say one thing: who gives a key of one way gets none of another way from the environment. */
  readonly alternatives: ReadonlyArray<ReadonlyArray<ReadonlyArray<string>>>
}

/** The variables of one key as a plugin names them: the service's own names, in order. */
export type Variables = ReadonlyArray<string> | { readonly names: ReadonlyArray<string>; readonly unit: string }

/** What a plugin says about its config beside the Schema. */
export interface Sources {
  readonly environment: { readonly [key: string]: Variables | undefined }
  readonly address?: string | undefined
  readonly credential?: string | undefined
  readonly alternatives?: ReadonlyArray<ReadonlyArray<ReadonlyArray<string>>> | undefined
}

/** What every backend's address and credential are called, in the environment too. */
export const addressVariable = "TRACELET_BACKEND_URL"
export const credentialVariable = "TRACELET_API_KEY"

/** The table of a plugin's config; without keys where that is no struct. */
export const tableOf = (id: string, config: Schema.Constraint, sources: Sources): ConfigTable => {
  const { environment, address, credential, alternatives = [] } = sources
  const encoded = propertiesOf(SchemaAST.toEncoded(config.ast))
  const keys = [...propertiesOf(SchemaAST.toType(config.ast))].map(([name, decoded]): ConfigKey => {
    const input = encoded.get(name) ?? decoded
    const own = environment[name]
    const isSecret = isRedacted(decoded)
    const value = isSecret ? undefined : defaultOf(config, name)
    const common =
      name === address ? [addressVariable] : name === credential ? [credentialVariable] : ([] as ReadonlyArray<string>)
    return {
      name,
      description: descriptionOf(decoded),
      isSecret,
      isRequired: !SchemaAST.isOptional(input),
      ...(value === undefined ? {} : { default: value }),
      type: typeOf(input),
      ...(own === undefined || !("unit" in own) ? {} : { unit: own.unit }),
      variables: own === undefined ? [] : [uniform(id, name), ...common, ...("unit" in own ? own.names : own)]
    }
  })
  return {
    keys,
    alternatives,
    ...(address === undefined ? {} : { address }),
    ...(credential === undefined ? {} : { credential })
  }
}

/** Whether a key is secret, or stands beside a secret in one way to say who asks: the name of a user beside the password. */
export const isCredential = ({ keys, alternatives }: ConfigTable, name: string): boolean => {
  const isSecret = (other: string) => keys.some((key) => key.name === other && key.isSecret)
  return isSecret(name) || alternatives.flat().some((way) => way.includes(name) && way.some(isSecret))
}

/** The variables that credentials come from, the service's own names for them where it has any. */
export const credentialVariables = ({ keys }: ConfigTable): ReadonlyArray<string> =>
  keys.flatMap(({ isSecret, variables }) => {
    const own = variables.find((name) => !name.startsWith("TRACELET_")) ?? variables[0]
    return isSecret && own !== undefined ? [own] : []
  })

/** `TRACELET_MLFLOW_TRACKING_URI` for `trackingUri` of `backend.mlflow`. */
const uniform = (id: string, key: string): string =>
  ["TRACELET", id.slice(id.indexOf(".") + 1), key.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "_")]
    .join("_")
    .replaceAll(/[^A-Za-z0-9]/g, "_")
    .toUpperCase()

/** A text from the environment as the key takes it. One of which nothing can be made stays a text: the Schema says what it wants. */
export const fromText = ({ type, unit }: Pick<ConfigKey, "type" | "unit">, text: string): Json => {
  switch (type) {
    case "boolean":
      return /^(1|true|yes|on)$/i.test(text) ? true : /^(0|false|no|off)$/i.test(text) ? false : text
    case "number":
      return isNumber.test(text) ? Number(text) : text
    case "text":
      return unit !== undefined && isNumber.test(text) ? `${text} ${unit}` : text
  }
}

const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

const propertiesOf = (ast: SchemaAST.AST): ReadonlyMap<string, SchemaAST.AST> =>
  new Map(
    ast._tag === "Objects"
      ? ast.propertySignatures.map(({ name, type }): [string, SchemaAST.AST] => [String(name), type])
      : []
  )

const isRedacted = (ast: SchemaAST.AST): boolean =>
  ast._tag === "Union"
    ? ast.types.some(isRedacted)
    : isJsonLike(ast.annotations?.["representation"]) &&
      ast.annotations["representation"].id === "effect/schema/Redacted"

const isJsonLike = (value: unknown): value is { readonly id: unknown } =>
  typeof value === "object" && value !== null && "id" in value

const typeOf = (ast: SchemaAST.AST): TextType => {
  const isFlag = ast._tag === "Union" && ast.types.some((type) => type._tag === "Literal" && type.literal === true)
  return ast._tag === "Boolean" || isFlag ? "boolean" : ast._tag === "Number" ? "number" : "text"
}

const descriptionOf = (ast: SchemaAST.AST): string => {
  const said = ast.context?.annotations?.["description"] ?? ast.annotations?.["description"]
  return typeof said === "string" ? said : ""
}

/** What decoding makes of the key's absence, as it would be written. */
const defaultOf = (config: Schema.Constraint, name: string): Json | undefined => {
  const { ast } = config
  if (ast._tag !== "Objects") return undefined
  const own = ast.propertySignatures.filter((property) => property.name === name)
  const alone = Schema.make<Schema.Codec<unknown, unknown>>(new SchemaAST.Objects(own, []))
  const decoded = Schema.decodeExit(alone)({})
  if (Exit.isFailure(decoded)) return undefined
  const written = Schema.encodeUnknownExit(alone)(decoded.value)
  if (Exit.isFailure(written) || !isJsonObject(written.value)) return undefined
  return written.value[name]
}
