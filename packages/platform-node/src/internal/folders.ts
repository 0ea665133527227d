/**
 * Makes a folder with those above it. By hand: `mkdirSync` with `recursive` never returns where a parent exists and nothing can be made in
 * it, as below /proc (seen with Node 24.21).
 */
import { mkdirSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { codeOf } from "./failure.ts"

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
