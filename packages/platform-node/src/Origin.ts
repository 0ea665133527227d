/**
 * Where this process was begun: program, user, host and the Git commit it stands on. Nothing here fails: what cannot be found out is left out.
 */
import { hostname, userInfo } from "node:os"
import { dirname, isAbsolute, relative, resolve, sep } from "node:path"
import type { Origin } from "@tracelet/core/RunEvent"
import * as git from "./internal/git.ts"

export interface Process {
  readonly cwd: string
  /** As `process.argv`. */
  readonly argv: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string | undefined }
}

/** With `TRACELET_TRACK_GIT=off` nothing is said of Git. */
export const of = ({ cwd, argv, env }: Process): Origin => {
  const script = argv[1]
  const user = orNothing(() => env["LOGNAME"] || env["USER"] || userInfo().username)
  const host = orNothing(hostname)
  const folder = script === undefined ? cwd : dirname(resolve(cwd, script))
  const commit = isOff(env["TRACELET_TRACK_GIT"]) ? undefined : orNothing(() => git.find(folder) ?? git.find(cwd))
  return {
    ...(script === undefined ? {} : { program: within(cwd, script) }),
    ...(user === undefined || user === "" ? {} : { user }),
    ...(host === undefined || host === "" ? {} : { host }),
    ...(commit === undefined ? {} : { git: commit })
  }
}

export const current = (): Origin =>
  of({ cwd: orNothing(() => process.cwd()) ?? "/", argv: process.argv, env: process.env })

/** A path as one writes it in that folder, when it lies there. */
const within = (folder: string, path: string): string => {
  const short = relative(folder, resolve(folder, path))
  const isOutside = short === "" || short === ".." || short.startsWith(`..${sep}`) || isAbsolute(short)
  return isOutside ? path : short
}

const isOff = (text: string | undefined): boolean => /^(0|false|no|off)$/i.test((text ?? "").trim())

/** No user of that id, a working directory that is gone: no reason to fail a run. */
const orNothing = <A>(find: () => A): A | undefined => {
  try {
    return find()
  } catch {
    return undefined
  }
}
