/**
 * Where a file lies inside an artifact: relative, with forward slashes, never out of the artifact's own folder (journal.md J5.15), so that
 * whoever unpacks one needs no check of its own.
 */
import * as Schema from "effect/Schema"
import { utf8Bytes } from "./Name.ts"

/** Longest path, in bytes of UTF-8. */
export const bytesMax = 4_096

/** Why `path` is refused, or `undefined` when it is legal. */
export const problem = (path: unknown): string | undefined => {
  if (typeof path !== "string") return "a path must be text"
  if (path.length > bytesMax || utf8Bytes(path) > bytesMax) return `a path must not exceed ${bytesMax} bytes`
  if (!path.isWellFormed() || forbidden.test(path)) {
    return "a path must hold no backslash, no control character and no lone surrogate"
  }
  return path.split("/").some((part) => part === "" || part === "." || part === "..")
    ? 'a path must be relative, without empty parts, "." and ".."'
    : undefined
}

// What a Windows shell takes for a separator, and what no file system or protocol takes for a name.
// oxlint-disable-next-line no-control-regex
const forbidden = /[\\\u0000-\u001f\u007f]/

export const FilePath = Schema.String.check(
  Schema.makeFilter((path: string) => problem(path) ?? true, { identifier: "FilePath" })
)
