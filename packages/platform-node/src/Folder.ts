/**
 * The `.tracelet` folder: where it is (journal.md J1.3), and how it is made (J1.4).
 */
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import { statSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join, resolve as resolvePath } from "node:path"
import { attempt } from "./internal/failure.ts"
import { makeFolders } from "./internal/folders.ts"

const name = ".tracelet"

/**
 * The folder's absolute path; it need not be there. `TRACELET_DIR` (from `cwd`, when relative); else the nearest `.tracelet` upwards, that
 * of the home folder excepted; else beside the nearest `.git`, a folder or the file of a worktree; else in `cwd`. Ask once per process: the answer changes as folders come.
 */
export const resolve = (cwd: string, env: { readonly [key: string]: string | undefined }): Effect.Effect<string> =>
  Effect.sync(() => {
    const given = env["TRACELET_DIR"]
    if (given !== undefined && given !== "") return resolvePath(cwd, given)
    const here = resolvePath(cwd)
    const folders = upwards(here)
    const isOurs = (folder: string) => folder === here || folder !== (env["HOME"] ?? homedir())
    const parent =
      folders.find((folder) => isOurs(folder) && stat(join(folder, name))?.isDirectory() === true) ??
      folders.find((folder) => stat(join(folder, ".git")) !== undefined) ??
      here
    return join(parent, name)
  })

/** Makes the folder, with mode 0700 and a `.gitignore` of `*`. A folder that is there is left as it is. */
export const prepare = (folder: string): Effect.Effect<void, StorageError> =>
  attempt("make the folder", folder, () => {
    const isNew = makeFolders(folder)
    if (isNew) writeFileSync(join(folder, ".gitignore"), "*\n", { mode: 0o600 })
  })

/** `folder` and everything above it, nearest first. */
const upwards = (folder: string): ReadonlyArray<string> => {
  const above = dirname(folder)
  return above === folder ? [folder] : [folder, ...upwards(above)]
}

/** `undefined` for what is not there or may not be looked at. */
const stat = (path: string) => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
