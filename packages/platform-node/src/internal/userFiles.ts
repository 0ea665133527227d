/**
 * Files of a user's, found and copied. Nothing here trusts what it finds: a folder may hold pipes, links to anywhere, files that go or
 * change while they are read, and more than anybody wants to keep.
 */
import type { KeptFile, LeftOut, StorageError, UserFiles } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import { createHash, randomBytes } from "node:crypto"
import type { BigIntStats } from "node:fs"
import { chmod, constants, copyFile, mkdir, open, readdir, realpath, rename, rm, stat } from "node:fs/promises"
import { basename, join, relative, resolve, sep } from "node:path"
import { failure } from "./failure.ts"

/** Bytes that are hashed at a time. */
const pieceBytes = 1_048_576

export const userFiles = (path: string, filesMax: number): Effect.Effect<UserFiles, StorageError> =>
  Effect.tryPromise({ try: () => find(path, filesMax), catch: (cause) => failure("read", path, cause) })

const find = async (path: string, filesMax: number): Promise<UserFiles> => {
  const root = await realpath(path)
  const name = basename(resolve(path))
  const found = await stat(root)
  if (found.isFile()) return { name, isFolder: false, files: [{ path: name, source: root }], left: [] }
  if (!found.isDirectory()) throw new NoPlainFile()
  const files: Array<{ readonly path: string; readonly source: string }> = []
  const left: Array<LeftOut> = []
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const inside = (entry: string) =>
      relative(root, join(folder ?? root, entry))
        .split(sep)
        .join("/")
    let entries
    try {
      entries = await readdir(folder, { withFileTypes: true })
    } catch (cause) {
      if (folder === root) throw cause
      left.push({ path: inside(""), reason: "the folder cannot be read" })
      continue
    }
    for (const entry of entries) {
      const source = join(folder, entry.name)
      if (entry.isDirectory()) folders.push(source)
      else if (!entry.isFile() && !(entry.isSymbolicLink() && (await leadsToFileIn(root, source)))) {
        left.push({ path: inside(entry.name), reason: entry.isSymbolicLink() ? outside : noPlainFile })
      } else if (files.length === filesMax) {
        left.push({ path: inside(entry.name), reason: `an artifact has at most ${filesMax} files` })
      } else files.push({ path: inside(entry.name), source })
    }
  }
  const byPath = (a: { readonly path: string }, b: { readonly path: string }) => (a.path < b.path ? -1 : 1)
  return { name, isFolder: true, files: files.toSorted(byPath), left: left.toSorted(byPath) }
}

const noPlainFile = "it is no plain file"
const outside = "the link leads to no file of the same folder"

const leadsToFileIn = async (root: string, link: string): Promise<boolean> => {
  try {
    const target = await realpath(link)
    return target.startsWith(root.endsWith(sep) ? root : root + sep) && (await stat(target)).isFile()
  } catch {
    return false
  }
}

/**
 * The kernel copies, by reference where the file system can (btrfs, xfs); then the copy is read once for its digest, which so is that of what is
 * kept, whatever becomes of the source.
 */
export const keepFile = (source: string, folder: string, bytesMax: number): Effect.Effect<KeptFile, StorageError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => join(folder, `${randomBytes(8).toString("hex")}.tmp`)),
    (temporary) =>
      Effect.tryPromise({
        try: () => keep(source, folder, temporary, bytesMax),
        catch: (cause) => failure("copy", source, cause)
      }),
    (temporary) => Effect.promise(() => rm(temporary, { force: true }).catch(() => undefined))
  )

const keep = async (source: string, folder: string, temporary: string, bytesMax: number): Promise<KeptFile> => {
  const before = await stat(source, { bigint: true })
  if (!before.isFile()) throw new NoPlainFile()
  if (before.size > bytesMax) throw new TooLarge(bytesMax)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await copyFile(source, temporary, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
  await chmod(temporary, 0o600)
  const { bytes, sha256 } = await hashAndSync(temporary)
  const after = await stat(source, { bigint: true }).catch(() => undefined)
  const isChanged = BigInt(bytes) !== before.size || (after !== undefined && isOther(before, after))
  const path = join(folder, sha256)
  const kept = await stat(path).catch(() => undefined)
  // A file of that name and another length is what a power cut left of it.
  if (kept?.size !== bytes) await rename(temporary, path)
  return { sha256, bytes, isChanged }
}

const isOther = (before: BigIntStats, after: BigIntStats): boolean =>
  before.size !== after.size || before.mtimeNs !== after.mtimeNs || before.ino !== after.ino

const hashAndSync = async (path: string): Promise<{ readonly bytes: number; readonly sha256: string }> => {
  const file = await open(path, "r+")
  try {
    const hash = createHash("sha256")
    const piece = new Uint8Array(pieceBytes)
    let bytes = 0
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, bytes)
      if (bytesRead === 0) break
      hash.update(piece.subarray(0, bytesRead))
      bytes += bytesRead
    }
    await file.sync()
    return { bytes, sha256: hash.digest("hex") }
  } finally {
    await file.close()
  }
}

class NoPlainFile extends Error {
  readonly code = "EINVAL"
  override readonly message = noPlainFile
}

class TooLarge extends Error {
  readonly code = "EFBIG"
  constructor(bytesMax: number) {
    super(`it has more than ${bytesMax} bytes`)
  }
}
