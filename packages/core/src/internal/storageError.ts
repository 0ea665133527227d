/**
 * The error of `JournalStorage`, in a file of its own so that the contract and its in-memory twin may both build one. Import it from
 * `JournalStorage`.
 */
import * as Schema from "effect/Schema"

/**
 * An operation of the platform failed. `code` is the platform's own (`ENOSPC`, `EACCES`), or `""`. `message` says what was tried, on
 * what, what came back, and where possible what to do.
 */
export class StorageError extends Schema.TaggedError<StorageError>()("StorageError", {
  operation: Schema.String,
  path: Schema.String,
  code: Schema.String,
  message: Schema.String
}) {}
