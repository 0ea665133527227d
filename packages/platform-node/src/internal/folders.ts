/**
 * Folders with what is in them. They are made by hand: `mkdirSync` with `recursive` never returns where a parent exists and nothing can be made in
 * it, as below /proc (seen with Node 24.21).
 */
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import { mkdirSync, statSync } from "node:fs"
import { readdir, rm, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { codeOf, failure } from "./failure.ts"

/** False when it was there. Mode 0700. Throws what `mkdirSync` throws. */
export const makeFolders = (folder: string): boolean => {
  try {
    mkdirSync(folder, { mode: 0o700 })
    return true
  } catch (cause) {
    const code = codeOf(cause)
    if (isFolder(folder)) return false
    const parent = dirname(folder)
    if (code !== "ENOENT" || parent === folder) throw cause
    makeFolders(parent)
  }
  try {
    mkdirSync(folder, { mode: 0o700 })
    return true
  } catch (cause) {
    // Somebody else was quicker.
    if (isFolder(folder)) return false
    throw cause
  }
}

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

export const removeFolder = (folder: string): Effect.Effect<void, StorageError> =>
  Effect.tryPromise({
    try: () => rm(folder, { recursive: true, force: true }),
    catch: (cause) => failure("remove the folder", folder, cause)
  })

export const folderBytes = (folder: string): Effect.Effect<number, StorageError> =>
  Effect.tryPromise({
    try: async () => {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
        if (codeOf(cause) === "ENOENT") return []
        throw cause
      })
      let sum = 0
      for (const entry of entries) {
        if (!entry.isFile()) continue
        sum += await stat(join(entry.parentPath, entry.name)).then(
          ({ size }) => size,
          () => 0
        )
      }
      return sum
    },
    catch: (cause) => failure("add up the files of", folder, cause)
  })
