/**
 * The commit that a folder stands on, read from the files of its repository: no process is started for it. The formats are those of
 * gitrepository-layout(5) and git-config(1) of Git 2.39. Whether files were changed since would need its index, and is not said.
 */
import { readFileSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import type { Origin } from "@tracelet/core/RunEvent"

/** Longer files are not read: `packed-refs` has a line for every branch and tag there ever was. */
const fileBytesMax = 8 * 1024 * 1024

/** Longest branch and URL that are kept. */
const textLengthMax = 1_024

export const find = (folder: string): Origin["git"] => {
  const own = gitFolder(folder)
  if (own === undefined) return undefined
  // A linked worktree has a HEAD of its own, and shares the rest.
  const shared = resolve(own, read(join(own, "commondir"))?.trim() ?? ".")
  const head = read(join(own, "HEAD"))?.trim() ?? ""
  const ref = /^ref: (refs\/\S+)$/.exec(head)?.[1]
  const commit = ref === undefined ? head : commitOf(own, shared, ref)
  if (commit === undefined || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) return undefined
  const branch = ref?.startsWith("refs/heads/") === true ? ref.slice("refs/heads/".length) : undefined
  const remote = remoteOf(read(join(shared, "config")) ?? "")
  return {
    commit,
    ...(branch === undefined ? {} : { branch: branch.slice(0, textLengthMax) }),
    ...(remote === undefined ? {} : { remote: remote.slice(0, textLengthMax) })
  }
}

/** The nearest upwards; a file in its place names where it lies. */
const gitFolder = (from: string): string | undefined => {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const path = join(folder, ".git")
    const found = statSync(path, { throwIfNoEntry: false })
    if (found?.isDirectory() === true) return path
    const link = found?.isFile() === true ? /^gitdir: (.+)$/m.exec(read(path) ?? "")?.[1] : undefined
    if (link !== undefined) return resolve(folder, link.trim())
    if (folder === dirname(folder)) return undefined
  }
}

const commitOf = (own: string, shared: string, ref: string): string | undefined => {
  const loose = read(join(own, ref)) ?? read(join(shared, ref))
  if (loose !== undefined) return loose.trim()
  const line = (read(join(shared, "packed-refs")) ?? "").split("\n").find((packed) => packed.endsWith(` ${ref}`))
  return line?.slice(0, line.indexOf(" "))
}

/** The URL of `origin`, else of the first remote, without user info. */
const remoteOf = (config: string): string | undefined => {
  const urlByRemote = new Map<string, string>()
  let remote: string | undefined
  for (const line of config.split("\n")) {
    const section = /^\s*\[(.*)\]\s*$/.exec(line)?.[1]
    if (section !== undefined) remote = /^remote\s+"(.*)"$/.exec(section)?.[1]
    const url = /^\s*url\s*=\s*"?(.*?)"?\s*$/i.exec(line)?.[1]
    if (remote !== undefined && url !== undefined && !urlByRemote.has(remote)) urlByRemote.set(remote, url)
  }
  const url = urlByRemote.get("origin") ?? [...urlByRemote.values()][0]
  return url?.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]*@/i, "$1")
}

const read = (path: string): string | undefined => {
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isFile() === true && found.size <= fileBytesMax ? readFileSync(path, "utf8") : undefined
}
