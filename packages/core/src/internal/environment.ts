/**
 * Fills a config from the environment, where whoever wrote it left keys out.
 *
 * In an app the environment is the app's own, and gives any key. A config that comes from a journal is another program's: there the
 * environment of whoever delivers gives credentials alone, and only where it does not name another server, since a password is for one.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { fromText, isCredential, type ConfigKey, type ConfigTable } from "../ConfigKey.ts"
import { isJsonObject } from "../JsonObject.ts"

/** Whose config it is. */
export type Provenance = "own" | "recorded"

export interface Filled {
  readonly input: unknown
  /** Key to the variable it came from. */
  readonly variableByKey: ReadonlyMap<string, string>
  /** Keys that were part of a URL: what stands there as a user may be a token. */
  readonly fromUrl: ReadonlySet<string>
}

type Fields = ReadonlyMap<string, unknown>

export const fill = (
  table: ConfigTable,
  input: unknown,
  provenance: Provenance
): Effect.Effect<Filled, ConfigProvider.SourceError> =>
  Effect.gen(function* () {
    const variableByKey = new Map<string, string>()
    const fromUrl = new Set<string>()
    if (!isJsonObject(input)) return { input, variableByKey, fromUrl }
    const provider = yield* ConfigProvider.ConfigProvider
    const given = new Map<string, unknown>(Object.entries(input).filter(([, value]) => value !== undefined))
    const fields = new Map(given)
    if (provenance === "recorded" && (yield* isElsewhere(provider, table, given)))
      return { input, variableByKey, fromUrl }
    for (const key of table.keys) {
      if (
        given.has(key.name) ||
        (provenance === "recorded" && !isCredential(table, key.name)) ||
        isRuledOut(table, given, key.name)
      )
        continue
      const found = yield* lookUp(provider, key)
      if (found === undefined) continue
      fields.set(key.name, fromText(key, found.text))
      variableByKey.set(key.name, found.variable)
    }
    for (const [name, value] of userOf(table, fields)) {
      if (name !== table.address) fromUrl.add(name)
      fields.set(name, value)
    }
    return { input: Object.fromEntries(fields), variableByKey, fromUrl }
  })

const lookUp = Effect.fnUntraced(function* (provider: ConfigProvider.ConfigProvider, { variables }: ConfigKey) {
  for (const variable of variables) {
    const text = (yield* provider.load([variable]))?.value
    if (text !== undefined && text !== "") return { variable, text }
  }
  return undefined
})

/** Whoever gave a password wants no token of the environment's beside it. */
const isRuledOut = ({ alternatives }: ConfigTable, given: Fields, name: string): boolean =>
  alternatives.some(
    (ways) =>
      ways.some((way) => way.includes(name)) &&
      ways.some((way) => !way.includes(name) && way.some((key) => given.has(key)))
  )

/** The environment names a server, and it is not that of the record. */
const isElsewhere = Effect.fnUntraced(function* (
  provider: ConfigProvider.ConfigProvider,
  { keys, address }: ConfigTable,
  given: Fields
) {
  const key = keys.find(({ name }) => name === address)
  const found = key === undefined ? undefined : yield* lookUp(provider, key)
  return (
    key !== undefined && found !== undefined && sameForm(found.text) !== sameForm(given.get(key.name) ?? key.default)
  )
})

const sameForm = (address: unknown): string => String(address).replace(userInfo, "$1").replace(/\/+$/, "").toLowerCase()

/** `user:password@` of a URL, behind its scheme. The last `@` counts: a password may hold one. */
const userInfo = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#\s]*)@/i

/** A URL as it may be written down. */
export const withoutUser = (text: string): string => text.replace(userInfo, "$1")

/** The `user:password@` of the address, in the keys that are made for them, and the address without it. */
const userOf = ({ keys, address }: ConfigTable, fields: Fields): ReadonlyArray<readonly [string, string]> => {
  const url = address === undefined ? undefined : fields.get(address)
  const info = typeof url === "string" ? userInfo.exec(url)?.[2] : undefined
  const has = (name: string) => keys.some((key) => key.name === name)
  if (address === undefined || typeof url !== "string" || info === undefined || !has("username") || !has("password")) {
    return []
  }
  const colon = info.indexOf(":")
  const [user, password] = colon < 0 ? [info, ""] : [info.slice(0, colon), info.slice(colon + 1)]
  return [
    [address, withoutUser(url)] as const,
    ["username", decoded(user)] as const,
    ["password", decoded(password)] as const
  ].filter(([name, value]) => name === address || (value !== "" && !fields.has(name)))
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
