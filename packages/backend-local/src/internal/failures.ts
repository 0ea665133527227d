/**
 * What SQLite and the file system throw, as `BackendError`s: what was tried, on which file, what came back, what to do.
 * Result codes: https://sqlite.org/rescode.html, read for SQLite 3.53.
 */
import { BackendError, Held, Poison, Transient, type Reason } from "@tracelet/core/BackendError"
import { statfsSync } from "node:fs"
import { dirname } from "node:path"
import { UnexpectedRow } from "./Connection.ts"

export const id = "backend.local"

/** A store that this version may not touch; `advice` says what to do. */
export class Refused extends Error {
  override readonly name = "Refused"
  readonly advice: string
  constructor(message: string, advice: string) {
    super(message)
    this.advice = advice
  }
}

interface Verdict {
  readonly reason: Reason
  readonly advice: string
}

const transient = (advice: string): Verdict => ({ reason: new Transient(), advice })
const held = (advice: string): Verdict => ({ reason: new Held(), advice })

const rebuild =
  "Move the file away, with its -wal and -shm: the store is rebuilt from the journals, which hold everything."
const access = "Give this user the right to write the file and its folder, then deliver again."

/** Primary result codes. */
const verdictByCode: ReadonlyMap<number, Verdict> = new Map([
  [3, held(access)], // SQLITE_PERM
  [5, transient("Another process is writing; it is tried again.")], // SQLITE_BUSY
  [6, transient("Another connection is writing; it is tried again.")], // SQLITE_LOCKED
  [7, transient("Memory ran out; it is tried again.")], // SQLITE_NOMEM
  [8, held(access)], // SQLITE_READONLY
  [10, transient("Look at the disk if this stays; it is tried again.")], // SQLITE_IOERR
  [11, held(rebuild)], // SQLITE_CORRUPT
  [13, transient("Make room on the disk; it is tried again.")], // SQLITE_FULL
  [14, held(access)], // SQLITE_CANTOPEN
  [23, held(access)], // SQLITE_AUTH
  [26, held(rebuild)] // SQLITE_NOTADB
])

const verdictByErrno: ReadonlyMap<string, Verdict> = new Map([
  ["ENOSPC", transient("Make room on the disk; it is tried again.")],
  ["EDQUOT", transient("Make room within your quota; it is tried again.")],
  ["EMFILE", transient("Too many files are open; it is tried again.")],
  ["ENFILE", transient("Too many files are open; it is tried again.")]
])

/** The primary result code of what `node:sqlite` threw; `undefined` for anything else. */
const resultCode = (failure: unknown): number | undefined =>
  failure instanceof Error && "errcode" in failure && typeof failure.errcode === "number"
    ? failure.errcode & 0xff
    : undefined

/** True for a lock that another connection holds: worth another try within a moment. */
export const isBusy = (failure: unknown): boolean => {
  const code = resultCode(failure)
  return code === 5 || code === 6
}

const full = transient("There is no room left on its disk: make some; it is tried again.")

/** SQLite says no more than "disk I/O error" or "unable to open" where there is no room for a file of its own beside the database. */
const isOnFullDisk = (file: string): boolean => {
  try {
    const { bavail, bsize, ffree, files } = statfsSync(dirname(file))
    return bavail * bsize < roomMin || (files > 0 && ffree === 0)
  } catch {
    return false
  }
}

/** What the least of those files takes: https://sqlite.org/walformat.html, section 2.2. */
const roomMin = 32_768

const verdictOf = (failure: unknown, file: string): Verdict => {
  if (failure instanceof Refused) return held(failure.advice)
  if (failure instanceof UnexpectedRow) return held(rebuild)
  const code = resultCode(failure)
  if (code !== undefined) {
    if ((code === 10 || code === 14) && isOnFullDisk(file)) return full
    return verdictByCode.get(code) ?? { reason: new Poison(), advice: "Please report this, with the message." }
  }
  if (failure instanceof Error && "code" in failure && typeof failure.code === "string") {
    return verdictByErrno.get(failure.code) ?? held(access)
  }
  return { reason: new Poison(), advice: "Please report this, with the message." }
}

/** `doing` completes the sentence "Could not …": `write 512 events of run 4f…`. */
export const toBackendError = (doing: string, file: string, failure: unknown): BackendError => {
  const { advice, reason } = verdictOf(failure, file)
  const came = failure instanceof Error ? failure.message : String(failure)
  const code = resultCode(failure)
  return new BackendError({
    backend: id,
    message: `Could not ${doing} in ${file}: ${came}${code === undefined ? "" : ` (SQLite code ${code})`}. ${advice}`,
    reason,
    cause: failure
  })
}
