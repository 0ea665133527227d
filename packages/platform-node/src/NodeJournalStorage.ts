/**
 * `JournalStorage` on a disk, by Node. Files and folders belong to the user alone (modes 0600 and 0700). This file says what each method
 * refuses; how files and locks work is in `internal`.
 */
import { JournalStorage, StorageError } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hash, randomBytes, webcrypto } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import * as FileSystems from "./FileSystems.ts"
import * as Origin from "./Origin.ts"
import { folderBytes, makeFolders, removeFolder } from "./internal/folders.ts"
import { attempt, codeOf } from "./internal/failure.ts"
import * as files from "./internal/files.ts"
import { lock, probe } from "./internal/locks.ts"
import { keepFile, userFiles } from "./internal/userFiles.ts"
import * as zlib from "./internal/zlib.ts"

/** Builds at once and holds nothing: locks and open files belong to the scopes they are opened in. */
export const layer: Layer.Layer<JournalStorage> = Layer.sync(JournalStorage, () => ({
  join,
  list: (folder) =>
    attempt("list the folder", folder, () => {
      try {
        return readdirSync(folder)
      } catch (cause) {
        if (codeOf(cause) === "ENOENT") return []
        throw cause
      }
    }),
  makeFolder: (folder) => attempt("make the folder", folder, () => void makeFolders(folder)),
  read: (path) => Effect.andThen(refuseLock("read", path), files.read(path)),
  replace: (path, bytes, { sync }) => Effect.andThen(refuseLock("replace", path), files.replace(path, bytes, sync)),
  append: (path, bytes) => Effect.andThen(refuseLock("append to", path), files.append(path, bytes)),
  rename: (from, to) => Effect.andThen(refuseLock("rename", from), files.renameElsewhere("rename", from, to)),
  remove: files.remove,
  shorten: (path, length) => Effect.andThen(refuseLock("shorten", path), files.shorten(path, length)),
  removeFolder,
  folderBytes,
  userFiles,
  keepFile,
  openRead: (path) => Effect.andThen(refuseLock("open", path), files.openRead(path)),
  openAppend: (path) => Effect.andThen(refuseLock("create", path), files.openAppend(path)),
  syncFolder: files.syncFolder,
  lock,
  probe,
  sha256,
  deflate: zlib.deflate,
  compress: zlib.compress,
  decompress: zlib.decompress,
  randomHex: (bytes) => Effect.sync(() => randomBytes(bytes).toString("hex")),
  origin: Effect.sync(Origin.current),
  host: { name: hostname(), boot: bootId(), pid: process.pid },
  isLocal: (folder) => Effect.map(FileSystems.lookup(folder), FileSystems.isLocal)
}))

/** To open a lock's file and close it again would unlock it, for us and for whoever asks whether we live. */
const refuseLock = (operation: string, path: string): Effect.Effect<void, StorageError> =>
  path.endsWith(".lock")
    ? Effect.fail(
        new StorageError({
          operation,
          path,
          code: "EPERM",
          message: `could not ${operation} ${path}: lock files are for lock and probe only (EPERM)`
        })
      )
    : Effect.void

const sha256 = (bytes: Uint8Array): Effect.Effect<string> =>
  bytes.length <= files.hereBytesMax
    ? Effect.sync(() => hash("sha256", bytes))
    : Effect.map(
        Effect.promise(() => webcrypto.subtle.digest("SHA-256", bytes)),
        (digest) => Buffer.from(digest).toString("hex")
      )

/** Changes with every boot of a Linux kernel (random(4)); elsewhere there is nothing as cheap, and the spec allows `""` (J2.2). */
const bootId = (): string => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  } catch {
    return ""
  }
}
