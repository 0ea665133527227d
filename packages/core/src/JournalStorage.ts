/**
 * What a journal asks of a platform: folders, files that are appended to, read at an offset or replaced by rename, and locks that say
 * whether a process lives. `@tracelet/platform-node` provides it; `layerMemory` is for tests and for runs that need no disk.
 *
 * Paths are made with `join`, and every path given to a method was made with it, so that a platform decides what they look like.
 *
 * A name that ends in `.lock` is for `lock`, `probe` and `remove` only; the other methods refuse it, since a process that opens and
 * closes its own lock file loses the lock (J8.2). Files are made only in folders that are there.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Origin } from "./RunEvent.ts"
import { makeMemory } from "./internal/memoryStorage.ts"
import { StorageError } from "./internal/storageError.ts"

export { StorageError }

/** A file open for appending by one process. */
export interface AppendFile {
  /**
   * All of the vectors, in order, behind what earlier calls that succeeded have written: the file keeps that offset itself. A short
   * write is carried on. A call that fails may have written a part; the next one starts at the same offset, so that trying the
   * same bytes again is harmless.
   */
  readonly append: (vectors: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>
  /** Returns when what was appended survives a power cut. Fails with the code `ENOENT` when the file was removed meanwhile. */
  readonly sync: Effect.Effect<void, StorageError>
}

/** A file open for reading while others append to it. */
export interface ReadFile {
  /** Fills `buffer` from `offset` on and returns how many bytes there were: fewer than its length at the end of the file. */
  readonly readInto: (offset: number, buffer: Uint8Array) => Effect.Effect<number, StorageError>
  readonly size: Effect.Effect<number, StorageError>
}

/** A file of a user's, or what a folder of theirs holds. */
export interface UserFiles {
  /** The last part of its path. */
  readonly name: string
  readonly isFolder: boolean
  /** In order of `path`: where a file lies in the folder, with forward slashes; of a single file its name. `source` is where it is read. */
  readonly files: ReadonlyArray<{ readonly path: string; readonly source: string }>
  /** What is in the folder and is no file that can be kept, with the reason. */
  readonly left: ReadonlyArray<LeftOut>
}

export interface LeftOut {
  readonly path: string
  readonly reason: string
}

/** A file that was copied. */
export interface KeptFile {
  readonly sha256: string
  readonly bytes: number
  /** The source was written to meanwhile: what is kept is a state it had, or parts of several. */
  readonly isChanged: boolean
}

/** `unknown`: it cannot be told from here (no permission, no such locks on this file system). */
export type LockState = "held" | "free" | "unknown"

export class JournalStorage extends Context.Service<
  JournalStorage,
  {
    readonly join: (...parts: ReadonlyArray<string>) => string
    /** Names in a folder, in no order; empty when there is no such folder. */
    readonly list: (folder: string) => Effect.Effect<ReadonlyArray<string>, StorageError>
    /** With its parents, mode 0700. */
    readonly makeFolder: (folder: string) => Effect.Effect<void, StorageError>
    /** The whole file, or `undefined` when there is none. */
    readonly read: (path: string) => Effect.Effect<Uint8Array | undefined, StorageError>
    /** By rename: a reader sees the old bytes or the new. With `sync` it survives a power cut, the name included. */
    readonly replace: (
      path: string,
      bytes: Uint8Array,
      options: { readonly sync: boolean }
    ) => Effect.Effect<void, StorageError>
    /**
     * Behind what is there, in one go; the file is made when there is none. When it has returned, that survives a power cut, the name
     * included; a call that fails, or that the power cuts off, may have written a part.
     */
    readonly append: (path: string, bytes: Uint8Array) => Effect.Effect<void, StorageError>
    /** A file or a folder. What had the name `to` is gone, and whoever has it open reads on. It survives a power cut when its folder was synced behind it. */
    readonly rename: (from: string, to: string) => Effect.Effect<void, StorageError>
    /** A file that is not there is removed already. Whoever has it open reads on. */
    readonly remove: (path: string) => Effect.Effect<void, StorageError>
    /** Cuts a file down to `length` bytes; one that is shorter, or not there, stays as it is. */
    readonly shorten: (path: string, length: number) => Effect.Effect<void, StorageError>
    /** With all that is in it, locks too; one that is not there is removed already. It may stop half way. */
    readonly removeFolder: (folder: string) => Effect.Effect<void, StorageError>
    /** Bytes of all files in it and below; what goes meanwhile counts nothing. */
    readonly folderBytes: (folder: string) => Effect.Effect<number, StorageError>
    /**
     * The file that a user's path names or, of a folder, up to `filesMax` files in it and below. Links in a folder are followed to files that lie in that
     * same folder, never out of it; pipes and devices are not opened.
     */
    readonly userFiles: (path: string, filesMax: number) => Effect.Effect<UserFiles, StorageError>
    /**
     * Copies a file of a user's into `folder`, under the SHA-256 of the copy: by a temporary name, and synced. A file that is there has that content
     * already. It is never in memory whole. Fails with the code `EFBIG` when it has more than `bytesMax` bytes, and `EINVAL` when it is no plain file.
     */
    readonly keepFile: (source: string, folder: string, bytesMax: number) => Effect.Effect<KeptFile, StorageError>
    readonly openRead: (path: string) => Effect.Effect<ReadFile, StorageError, Scope.Scope>
    /** Fails with code `EEXIST` when the file is there: a segment is never reopened (J2.3). */
    readonly openAppend: (path: string) => Effect.Effect<AppendFile, StorageError, Scope.Scope>
    /** So that names made in it survive a power cut. */
    readonly syncFolder: (folder: string) => Effect.Effect<void, StorageError>
    /** Takes the lock until the scope closes, making the file when there is none; `false` when somebody has it, this process included. */
    readonly lock: (path: string) => Effect.Effect<boolean, StorageError, Scope.Scope>
    /** Whether anybody has it (J8.3). `free` when there is no such file. */
    readonly probe: (path: string) => Effect.Effect<LockState, StorageError>
    /** Lower-case hexadecimal SHA-256. */
    readonly sha256: (bytes: Uint8Array) => Effect.Effect<string>
    /** A stream of zlib, as PNG has it; it may be longer than the bytes. */
    readonly deflate: (bytes: Uint8Array) => Effect.Effect<Uint8Array>
    /** One Zstandard frame. A storage whose files nobody else ever reads may leave bytes as they are. */
    readonly compress: (bytes: Uint8Array) => Effect.Effect<Uint8Array>
    /** What `compress` was given, or `undefined` when that is not `length` bytes: what comes from a disk may be anything. */
    readonly decompress: (bytes: Uint8Array, length: number) => Effect.Effect<Uint8Array | undefined>
    /** As many bytes from a cryptographic source, in lower-case hexadecimal. */
    readonly randomHex: (bytes: number) => Effect.Effect<string>
    /** Who and where this process is (J2.2). `isLocal` answers whether locks on this folder's file system decide (J8.4). */
    readonly host: { readonly name: string; readonly boot: string; readonly pid: number }
    readonly isLocal: (folder: string) => Effect.Effect<boolean, StorageError>
    /** Where this process was begun, as far as the platform knows; what a run's record says of it (J5.5). */
    readonly origin: Effect.Effect<Origin>
  }
>()("@tracelet/core/JournalStorage") {}

/** Nothing outlives the layer, and nobody outside it sees its locks: each build is a storage of its own. */
export const layerMemory: Layer.Layer<JournalStorage> = Layer.sync(JournalStorage, () => makeMemory().storage)
