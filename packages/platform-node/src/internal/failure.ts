/**
 * Turns what `node:fs` and `node:sqlite` throw into a `StorageError` whose message says what was tried, on what, what came back and what
 * to do.
 */
import { StorageError } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"

const hints: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "the disk is full: free space on it, or set TRACELET_DIR to a folder on another"],
  ["EDQUOT", "your quota is used up: free space, or set TRACELET_DIR to a folder on another disk"],
  ["EACCES", "check who owns it, or set TRACELET_DIR to a folder you may write to"],
  ["EPERM", "check who owns it, or set TRACELET_DIR to a folder you may write to"],
  ["EROFS", "the disk is mounted read-only: set TRACELET_DIR to a folder you may write to"],
  ["EMFILE", "this process has too many files open: raise the limit (ulimit -n)"],
  ["ENFILE", "this machine has too many files open: close some, or raise its limit (fs.file-max)"]
])

/** `code` of a Node error, or `""`. */
export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string" ? cause.code : ""

/** `operation` continues "could not …" and is followed by the path: "append to", "make the folder". */
export const failure = (operation: string, path: string, cause: unknown): StorageError => {
  const code = codeOf(cause)
  // Node's own text is "ENOSPC: no space left on device, write": what was tried is ours to say.
  const text = cause instanceof Error ? cause.message : String(cause)
  const reason = text.replace(/^[A-Z0-9]+: /, "").replace(/, [a-z]+( '.*)?$/s, "")
  const hint = hints.get(code)
  const message = `could not ${operation} ${path}: ${reason}${code === "" ? "" : ` (${code})`}`
  return new StorageError({ operation, path, code, message: hint === undefined ? message : `${message}; ${hint}` })
}

/** Runs a synchronous call of `node:fs`. */
export const attempt = <A>(operation: string, path: string, evaluate: () => A): Effect.Effect<A, StorageError> =>
  Effect.try({ try: evaluate, catch: (cause) => failure(operation, path, cause) })
