/**
 * Names a user gives: of series, params, tags, texts, runs and projects. Anything but lone surrogates, 1 to 1,024 bytes of UTF-8
 * (journal.md J5.22); what a service cannot hold is its backend's business, not the journal's.
 */
import * as Schema from "effect/Schema"

/** Longest name, in bytes of UTF-8. */
export const bytesMax = 1_024

/** Why `name` is refused, or `undefined` when it is legal. */
export const problem = (name: unknown): string | undefined => {
  if (typeof name !== "string") return "a name must be text"
  if (name.length === 0) return "a name must not be empty"
  if (name.length > bytesMax || (name.length > bytesMax / 3 && utf8Bytes(name) > bytesMax)) {
    return `a name must not exceed ${bytesMax} bytes`
  }
  return name.isWellFormed() ? undefined : "a name must not hold a lone surrogate"
}

export const Name = Schema.String.check(
  Schema.makeFilter((name: string) => problem(name) ?? true, { identifier: "Name" })
)

/** Ids of runs and writers and the names of backends, as they stand in file names (J1.1). */
export const idPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

export const Id = Schema.String.check(Schema.isPattern(idPattern))

/** Bytes of a well-formed text in UTF-8. */
export const utf8Bytes = (text: string): number => {
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}
