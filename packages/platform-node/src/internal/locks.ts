/**
 * Locks by `node:sqlite` (journal.md §8). Node has no lock call; SQLite's `BEGIN IMMEDIATE` takes a write lock on byte 0x40000001, and
 * that is the lock.
 *
 * Such a lock belongs to the process and is gone as soon as the process closes any descriptor of that file. SQLite knows that and puts off
 * its own closes; `node:fs` does not, so nothing else in this process may open a `*.lock` file, were it to copy it.
 */
import type { LockState, StorageError } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import { accessSync, closeSync, constants, linkSync, openSync, statSync, unlinkSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { codeOf, failure } from "./failure.ts"

/**
 * Locks that this process holds. It answers for our own locks without opening the file, and keeps the handles from the garbage collector,
 * which would unlock. The truth is SQLite's: through another path to the file, or from a worker thread, it still says "busy".
 */
const heldByPath = new Map<string, DatabaseSync>()

/** How long a busy answer is asked again before it is believed: a prober has the lock for less than a millisecond. */
const patienceMs = 300

/** Takes the lock until the scope closes; `false` when somebody has it. */
export const lock = (path: string): Effect.Effect<boolean, StorageError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(take(path), (handle) => Effect.sync(() => handle !== undefined && release(path, handle))),
    (handle) => handle !== undefined
  )

/** Whether anybody has the lock. It does not fail: what cannot be told is `unknown`. */
export const probe = Effect.fnUntraced(function* (path: string): Effect.fn.Return<LockState> {
  if (heldByPath.has(path)) return "held"
  const first = look(path)
  if (first !== "held") return first
  // Two probers see each other, so they look again, each at a time of its own.
  yield* pause(50 + 100 * Math.random())
  return look(path)
})

const take = Effect.fnUntraced(function* (path: string): Effect.fn.Return<DatabaseSync | undefined, StorageError> {
  const until = performance.now() + patienceMs
  for (;;) {
    const handle = yield* Effect.try({
      try: () => tryLock(path),
      catch: (cause) => failure("lock", path, cause)
    })
    if (handle !== undefined || heldByPath.has(path) || performance.now() >= until) return handle
    yield* pause(10 + 20 * Math.random())
  }
})

/** Registers what it takes: nobody comes between, since it is synchronous. */
const tryLock = (path: string): DatabaseSync | undefined => {
  if (heldByPath.has(path)) return undefined
  const handle = lockExisting(path) ?? lockNew(path)
  if (handle === "busy") return undefined
  heldByPath.set(path, handle)
  return handle
}

/** `undefined` when there is no such file. */
const lockExisting = (path: string): DatabaseSync | "busy" | undefined => {
  const before = inode(path)
  if (before === undefined) return undefined
  // Without write permission SQLite opens the file for reading, and the lock would be none.
  accessSync(path, constants.W_OK)
  const handle = begin(path)
  if (handle === undefined) return "busy"
  if (inode(path) === before) return handle
  // Removed or replaced meanwhile: what we have is the lock of a file without a name.
  handle.close()
  return "busy"
}

/**
 * Makes the file under another name, locks it, and gives it its name by `link`, which fails when somebody was first: a prober never sees
 * the file without its lock, and of two that take it at once one gets it. (A rename would let both.)
 */
const lockNew = (path: string): DatabaseSync | "busy" => {
  const temporary = `${path}.${randomBytes(8).toString("hex")}.tmp`
  closeSync(openSync(temporary, "wx", 0o600))
  let handle: DatabaseSync | undefined
  try {
    handle = begin(temporary)
    if (handle === undefined) return "busy"
    linkSync(temporary, path)
    return handle
  } catch (cause) {
    handle?.close()
    if (codeOf(cause) === "EEXIST") return "busy"
    if (!isWithoutLinks(cause)) throw cause
    // For a moment the file has no lock here. A writer takes its lock before it makes a segment, so nobody asks yet.
    try {
      closeSync(openSync(path, "wx", 0o600))
    } catch (second) {
      if (codeOf(second) !== "EEXIST") throw second
    }
    return lockExisting(path) ?? "busy"
  } finally {
    unlinkSync(temporary)
  }
}

/** File systems without hard links, exFAT for one. */
const isWithoutLinks = (cause: unknown): boolean => ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(cause))

const release = (path: string, handle: DatabaseSync) => {
  heldByPath.delete(path)
  handle.close()
}

const look = (path: string): LockState => {
  try {
    accessSync(path, constants.W_OK)
    const handle = begin(path)
    handle?.close()
    return handle === undefined ? "held" : "free"
  } catch (cause) {
    return codeOf(cause) === "ENOENT" ? "free" : "unknown"
  }
}

/** A transaction that has the write lock; closing the handle ends it. `undefined` when somebody else has one. */
const begin = (path: string): DatabaseSync | undefined => {
  const handle = new DatabaseSync(path, { timeout: 0 })
  try {
    // Without this there would be a file `<name>-journal` beside the lock for as long as it is held.
    handle.exec("PRAGMA journal_mode=MEMORY; BEGIN IMMEDIATE")
    return handle
  } catch (cause) {
    handle.close()
    if (isBusy(cause)) return undefined
    throw cause
  }
}

/** SQLITE_BUSY, in any of its extended forms: https://www.sqlite.org/rescode.html. */
const isBusy = (cause: unknown): boolean =>
  typeof cause === "object" &&
  cause !== null &&
  "errcode" in cause &&
  typeof cause.errcode === "number" &&
  (cause.errcode & 0xff) === 5

const inode = (path: string): string | undefined => {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}

/** On the real clock, not the Clock service: what is waited for is another process. */
const pause = (ms: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), ms)
    return Effect.sync(() => clearTimeout(timer))
  })
