/**
 * Objects that came out of `JSON.parse`: params, tags, contexts. Their keys are a user's data, `__proto__` among them, so they are
 * checked and passed on as they are, never copied key by key into an object literal.
 */
import * as Schema from "effect/Schema"

export type Json = Schema.Json

/** An object of JSON values, own keys only. */
export interface JsonObject {
  readonly [key: string]: Json
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Accepts any object; meant for values that `JSON.parse` made. */
export const JsonObject = Schema.declare(isJsonObject, { identifier: "JsonObject" })

/** An object whose values are all texts. */
export interface TextObject {
  readonly [key: string]: string
}

export const TextObject = Schema.declare(
  (value): value is TextObject => isJsonObject(value) && Object.values(value).every((text) => typeof text === "string"),
  { identifier: "TextObject" }
)

/** Changes to tags: a text sets one, null takes it away. */
export interface TagChanges {
  readonly [key: string]: string | null
}

export const TagChanges = Schema.declare(
  (value): value is TagChanges =>
    isJsonObject(value) && Object.values(value).every((text) => typeof text === "string" || text === null),
  { identifier: "TagChanges" }
)

/** `{ key: value }` for a key that may be `__proto__`. */
export const single = <A extends Json>(key: string, value: A): { readonly [key: string]: A } =>
  Object.fromEntries([[key, value]])
