/**
 * The files of `NodeJournalStorage`. What is small is done synchronously (an append of 64 KiB takes 7 µs so, 35 µs through the thread
 * pool); what waits for the disk, or would hold the event loop for more than a millisecond, is not.
 */
import type { AppendFile, ReadFile, StorageError } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import {
  closeSync,
  fdatasync,
  fstatSync,
  fsync,
  openSync,
  readFile,
  readFileSync,
  readSync,
  rename,
  statSync,
  truncateSync,
  unlinkSync,
  writevSync
} from "node:fs"
import { dirname } from "node:path"
import { attempt, codeOf, failure } from "./failure.ts"

/** IOV_MAX of Linux and macOS. Beyond it libuv makes several calls, and loses bytes when one of them comes back short. */
const vectorsMax = 1_024

/** A call that copies more than this goes to the thread pool, or is cut into pieces: it takes about half a millisecond. */
export const hereBytesMax = 1_048_576

/** Open for appending, from an offset of its own. */
export const openAppend = (path: string): Effect.Effect<AppendFile, StorageError, Scope.Scope> =>
  Effect.map(openFile("create", path, "wx"), (file) => {
    let offset = 0
    // Not every file system counts names.
    const isCounted = fstatSync(file.descriptor).nlink > 0
    return {
      append: (vectors) =>
        attempt("append to", path, () => {
          offset = writeAll(file.descriptor, vectors, offset)
        }),
      sync: Effect.andThen(file.wait("sync", fdatasync), isCounted ? isThere(file.descriptor, path) : Effect.void)
    }
  })

/** What is written to a file without a name is safe from nothing. */
const isThere = (descriptor: number, path: string): Effect.Effect<void, StorageError> =>
  Effect.flatMap(
    attempt("sync", path, () => fstatSync(descriptor).nlink),
    (names) => (names > 0 ? Effect.void : Effect.fail(failure("sync", path, new Removed("somebody removed it"))))
  )

class Removed extends Error {
  readonly code = "ENOENT"
}

export const openRead = (path: string): Effect.Effect<ReadFile, StorageError, Scope.Scope> =>
  Effect.map(openFile("open", path, "r"), ({ descriptor }) => ({
    readInto: (offset, buffer) =>
      attempt("read", path, () => {
        let done = 0
        while (done < buffer.length) {
          const count = readSync(descriptor, buffer, done, buffer.length - done, offset + done)
          if (count === 0) break
          done += count
        }
        return done
      }),
    size: attempt("read the size of", path, () => fstatSync(descriptor).size)
  }))

export const read = (path: string): Effect.Effect<Uint8Array | undefined, StorageError> =>
  Effect.flatMap(
    attempt("read", path, () => {
      const size = statSync(path, { throwIfNoEntry: false })?.size
      return size === undefined || size > hereBytesMax ? size : orUndefined("ENOENT", () => plain(readFileSync(path)))
    }),
    (found) => (typeof found === "number" ? readElsewhere(path) : Effect.succeed(found))
  )

export const append = (path: string, bytes: Uint8Array): Effect.Effect<void, StorageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* openFile("append to", path, "a")
      const isNew = yield* attempt("append to", path, () => {
        const { size } = fstatSync(file.descriptor)
        writeAll(file.descriptor, [bytes])
        return size === 0
      })
      yield* file.wait("sync", fdatasync)
      if (isNew) yield* syncFolder(dirname(path))
    })
  )

export const remove = (path: string): Effect.Effect<void, StorageError> =>
  attempt("remove", path, () => orUndefined("ENOENT", () => unlinkSync(path)))

export const shorten = (path: string, length: number): Effect.Effect<void, StorageError> =>
  attempt("shorten", path, () =>
    orUndefined("ENOENT", () => {
      if (statSync(path).size > length) truncateSync(path, length)
    })
  )

export const replace = (path: string, bytes: Uint8Array, sync: boolean): Effect.Effect<void, StorageError> => {
  const temporary = `${path}.${randomBytes(8).toString("hex")}.tmp`
  const write = Effect.scoped(
    Effect.flatMap(openFile("create", temporary, "wx"), (file) =>
      Effect.andThen(
        Effect.forEach(pieces(bytes), ([offset, piece]) =>
          Effect.andThen(
            attempt("write", temporary, () => writeAll(file.descriptor, [piece], offset)),
            offset + piece.length < bytes.length ? Effect.yieldNow : Effect.void
          )
        ),
        sync ? file.wait("sync", fsync) : Effect.void
      )
    )
  )
  return write.pipe(
    Effect.andThen(renameElsewhere("replace", temporary, path)),
    Effect.onError(() => Effect.ignore(remove(temporary))),
    Effect.andThen(sync ? syncFolder(dirname(path)) : Effect.void)
  )
}

export const syncFolder = (folder: string): Effect.Effect<void, StorageError> =>
  Effect.scoped(
    Effect.flatMap(openFile("sync the folder", folder, "r"), (file) => file.wait("sync the folder", fsync))
  ).pipe(
    // Some network file systems have no such call; the names there are the server's affair.
    Effect.catchIf(
      (error) => error.code === "EINVAL" || error.code === "ENOTSUP",
      () => Effect.void
    )
  )

interface OpenFile {
  readonly descriptor: number
  /** Runs in the thread pool. A caller that is interrupted goes on at once; the descriptor is closed when the call is over. */
  readonly wait: (operation: string, call: Call) => Effect.Effect<void, StorageError>
}

type Call = (descriptor: number, done: (error: Error | null) => void) => void

const openFile = (operation: string, path: string, flags: string): Effect.Effect<OpenFile, StorageError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      attempt(operation, path, () => ({ descriptor: openSync(path, flags, 0o600), calls: 0, isOver: false })),
      (file) =>
        Effect.sync(() => {
          file.isOver = true
          if (file.calls === 0) closeSync(file.descriptor)
        })
    ),
    (file) => ({
      descriptor: file.descriptor,
      wait: (doing, call) =>
        Effect.callback<void, StorageError>((resume) => {
          file.calls++
          call(file.descriptor, (error) => {
            file.calls--
            if (file.isOver && file.calls === 0) closeSync(file.descriptor)
            resume(error === null ? Effect.void : Effect.fail(failure(doing, path, error)))
          })
        })
    })
  )

/** Writes at `offset`, or behind the end where there is none, and returns the offset behind what it wrote. Short writes are carried on. */
const writeAll = (descriptor: number, vectors: ReadonlyArray<Uint8Array>, offset?: number): number => {
  let end = offset ?? 0
  let rest = vectors.filter((vector) => vector.length > 0)
  while (rest.length > 0) {
    let count = writevSync(descriptor, rest.slice(0, vectorsMax), offset === undefined ? undefined : end)
    end += count
    let whole = 0
    for (let next = rest[whole]; next !== undefined && next.length <= count; next = rest[whole]) {
      count -= next.length
      whole++
    }
    rest = rest.slice(whole)
    const torn = rest[0]
    if (torn !== undefined && count > 0) rest[0] = torn.subarray(count)
  }
  return end
}

/** In the thread pool: ext4 flushes a file that takes another's name, which was seen to take a millisecond and more. */
export const renameElsewhere = (operation: string, from: string, to: string): Effect.Effect<void, StorageError> =>
  Effect.callback((resume) => {
    rename(from, to, (error) => resume(error === null ? Effect.void : Effect.fail(failure(operation, to, error))))
  })

const pieces = (bytes: Uint8Array): ReadonlyArray<readonly [number, Uint8Array]> =>
  Array.from({ length: Math.ceil(bytes.length / hereBytesMax) }, (_, i) => [
    i * hereBytesMax,
    bytes.subarray(i * hereBytesMax, (i + 1) * hereBytesMax)
  ])

const readElsewhere = (path: string): Effect.Effect<Uint8Array | undefined, StorageError> =>
  Effect.callback((resume) => {
    readFile(path, (error, bytes) => {
      if (error === null) resume(Effect.succeed(plain(bytes)))
      else resume(error.code === "ENOENT" ? Effect.undefined : Effect.fail(failure("read", path, error)))
    })
  })

/** With a buffer of its own: small Buffers share one, and whoever looks at `bytes.buffer` would see the others. */
const plain = (bytes: Buffer): Uint8Array =>
  bytes.length === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)

const orUndefined = <A>(code: string, evaluate: () => A): A | undefined => {
  try {
    return evaluate()
  } catch (cause) {
    if (codeOf(cause) === code) return undefined
    throw cause
  }
}
