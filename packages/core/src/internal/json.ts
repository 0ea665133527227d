/**
 * Any value a user hands over, as JSON text that loses nothing JSON can be made to hold (journal.md J5.24): NaN and the infinities are
 * texts, −0 is written `-0`, whole numbers beyond ±(2^53 − 1) and bigints are the text of their digits.
 */

import type { Json } from "../JsonObject.ts"

/** Deepest nesting that is written; what lies below is refused. */
export const depthMax = 64

/** JSON text, or `undefined` when the value (a function, a symbol, a circle, something too deep) has none. */
export const stringify = (value: unknown, depth = 0): string | undefined => {
  if (depth > depthMax) return undefined
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? JSON.stringify(value) : undefined
    case "boolean":
      return value ? "true" : "false"
    case "number":
      return number(value)
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? String(value) : `"${value}"`
    case "object":
      return value === null ? "null" : Array.isArray(value) ? array(value, depth) : object(value, depth)
    case "undefined":
    case "function":
    case "symbol":
      return undefined
  }
}

const number = (value: number): string => {
  if (!Number.isFinite(value)) return `"${value}"`
  if (Object.is(value, -0)) return "-0"
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21
    ? `"${BigInt(value)}"`
    : String(value)
}

const array = (values: ReadonlyArray<unknown>, depth: number): string | undefined => {
  const parts: Array<string> = []
  for (const value of values) {
    const part = value === undefined ? "null" : stringify(value, depth + 1)
    if (part === undefined) return undefined
    parts.push(part)
  }
  return `[${parts.join(",")}]`
}

const object = (value: object, depth: number): string | undefined => {
  if ("toJSON" in value && typeof value.toJSON === "function") return stringify(value.toJSON(), depth + 1)
  const parts: Array<string> = []
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined) continue
    const part = stringify(entry, depth + 1)
    if (part === undefined || !key.isWellFormed()) return undefined
    parts.push(`${JSON.stringify(key)}:${part}`)
  }
  return `{${parts.join(",")}}`
}

/** The value as `JSON.parse` would give it back, or `undefined` when it has no JSON text, or raises when it is read. */
export const normalise = (value: unknown): Json | undefined => {
  try {
    const text = stringify(value)
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
