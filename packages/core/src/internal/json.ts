/**
 * Any value a user hands over, as JSON text that loses nothing JSON can be made to hold (journal.md J5.24): NaN and the infinities are
 * texts, −0 is written `-0`, whole numbers beyond ±(2^53 − 1) and bigints are the text of their digits, a lone surrogate is its `\u` escape.
 * What says itself how it looks as JSON (`toJSON`: dates, URLs, Effect's own types) is taken at its word; a Map is an object, a Set and a
 * typed array are arrays, an error and a regular expression texts.
 */

import type { Json } from "../JsonObject.ts"

/** Deepest nesting that is written; what lies below is refused. */
export const depthMax = 64

/** JSON text, or `undefined` when the value (a function, a symbol, a circle, something too deep) has none. */
export const stringify = (value: unknown, depth = 0): string | undefined => {
  if (depth > depthMax) return undefined
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
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
  if (value instanceof Set) return array([...value], depth)
  if (ArrayBuffer.isView(value)) return value instanceof DataView ? undefined : array(Object.values(value), depth)
  if (value instanceof Error || value instanceof RegExp) return JSON.stringify(String(value))
  const entries: Array<[unknown, unknown]> | undefined = value instanceof Map ? [...value] : entriesOf(value)
  // A promise, a WeakMap, a class that shows nothing of itself: `{}` would not be the value.
  if (entries === undefined) return undefined
  const parts: Array<string> = []
  for (const [key, entry] of entries) {
    if (typeof key !== "string") return undefined
    if (entry === undefined) continue
    const part = stringify(entry, depth + 1)
    if (part === undefined) return undefined
    parts.push(`${JSON.stringify(key)}:${part}`)
  }
  return `{${parts.join(",")}}`
}

/** What stands in an object of a user's by name, or `undefined` when it is none, or hides what it holds. */
export const entriesOf = (value: unknown): Array<[string, unknown]> | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const entries = Object.entries(value)
  return entries.length > 0 || isPlain(value) ? entries : undefined
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
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
