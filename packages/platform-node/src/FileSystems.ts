/**
 * Which file system a path lies on, and whether locks there decide if a writer lives (journal.md J8.4).
 */
import type { StorageError } from "@tracelet/core/JournalStorage"
import type * as Effect from "effect/Effect"
import { readFileSync, realpathSync, statfsSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { attempt, codeOf } from "./internal/failure.ts"
import { kindOf, type Kind, mountOf, parseMountInfo } from "./internal/mounts.ts"

export type { Kind }

export interface FileSystem {
  /** As the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`. */
  readonly type: string
  readonly mountPoint: string
  /** `local`: one kernel decides all locks. `network`: another host may see none of them. `unknown` counts as `network`. */
  readonly kind: Kind
}

/** `undefined` where there is no mount table to read: everywhere but on Linux. A path that is not there lies where its folder does. */
export const lookup = (path: string): Effect.Effect<FileSystem | undefined, StorageError> =>
  attempt("find the file system of", path, () => {
    if (process.platform !== "linux") return undefined
    const mount = mountOf(parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8")), realPath(resolve(path)))
    return mount === undefined ? undefined : { ...mount, kind: kindOf(mount.type) }
  })

/** What a user may still write there. `inodes`: how many files more; `undefined` where the file system has no such limit. */
export interface Room {
  readonly bytes: number
  readonly inodes: number | undefined
}

/** Of the file system on which a path lies that is there. */
export const room = (path: string): Effect.Effect<Room, StorageError> =>
  attempt("ask for the free space of", path, () => {
    const { bavail, bsize, ffree, files } = statfsSync(path)
    return { bytes: bavail * bsize, inodes: files === 0 ? undefined : ffree }
  })

/** Whether what `lookup` answered is trusted with locks. */
export const isLocal = (found: FileSystem | undefined): boolean =>
  // On macOS and Windows nobody has told the file systems apart yet: the user's disk is assumed, and a network folder there is
  // taken for one. What that risks is a run shown as killed on a host that cannot see the writer's lock.
  found === undefined ? process.platform !== "linux" : found.kind === "local"

const realPath = (path: string): string => {
  try {
    return realpathSync(path)
  } catch (cause) {
    const folder = dirname(path)
    if (codeOf(cause) !== "ENOENT" || folder === path) throw cause
    return realPath(folder)
  }
}
