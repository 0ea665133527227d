/**
 * JSON that comes back as it went in: `JSON.stringify` writes −0 as 0, and a param that was −0 has to stay so.
 */
import type { Json } from "@tracelet/core/JsonObject"

declare global {
  interface JSON {
    /** Of ES2026, in Node since 22: a text that `stringify` takes over as it is. */
    rawJSON(text: string): unknown
  }
}

const negativeZero = JSON.rawJSON("-0")

/** Throws a `RangeError` for a value that is nested too deep to be walked. */
export const toJson = (value: object | Json): string =>
  JSON.stringify(value, (_key, part: unknown) => (Object.is(part, -0) ? negativeZero : part))
