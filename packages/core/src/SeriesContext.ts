/**
 * The small record that tells series of one name apart: `{ subset: "val" }`, `{ rank: 3 }`. It keeps its keys in the order they were
 * given; two contexts are one when their keys and values are (journal.md J5.23).
 */
import * as Schema from "effect/Schema"
import { isJsonObject } from "./JsonObject.ts"
import { utf8Bytes } from "./Name.ts"

export type Value = string | number | boolean

export interface SeriesContext {
  readonly [key: string]: Value
}

/** Most keys a context may have. */
export const keysMax = 16

/** Most bytes of JSON a context may have. */
export const bytesMax = 4_096

const isValue = (value: unknown): value is Value =>
  (typeof value === "string" && value.isWellFormed()) ||
  typeof value === "boolean" ||
  (typeof value === "number" && Number.isFinite(value))

export const isSeriesContext = (value: unknown): value is SeriesContext => {
  if (!isJsonObject(value)) return false
  const values = Object.values(value)
  const isLegal =
    values.length <= keysMax && values.every(isValue) && Object.keys(value).every((key) => key.isWellFormed())
  return isLegal && utf8Bytes(JSON.stringify(value)) <= bytesMax
}

export const SeriesContext = Schema.declare(isSeriesContext, { identifier: "SeriesContext" })

/** The context of a series that was given none. */
export const empty: SeriesContext = Object.freeze({})

/** JSON with sorted keys: equal for contexts that are one. */
export const toKey = (context: SeriesContext): string => {
  const keys = Object.keys(context)
  if (keys.length === 0) return "{}"
  return `{${keys
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${JSON.stringify(context[key])}`)
    .join(",")}}`
}

/** Whether two contexts are one. */
export const isSame = (a: SeriesContext, b: SeriesContext): boolean => {
  let keys = 0
  for (const key in a) {
    if (!Object.is(a[key], b[key])) return false
    keys++
  }
  for (const _key in b) keys--
  return keys === 0
}
