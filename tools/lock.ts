/**
 * Repairs package-lock.json after a change of dependencies: `node tools/lock.ts`.
 *
 * A package that exists once per platform lists its platform packages with exact versions as `optionalDependencies`.
 * Where a registry lacks one of them, `npm install` leaves the entry out without a word, and `npm ci` then refuses the
 * lock. The entry needs no integrity: a platform that has the package resolves it, one that has not skips it.
 *
 * And npm leaves an optional package out, again without a word, when the Node that installs is older than the package
 * asks for. Here it is run by the Node that comes with the packages, so what it asks for is taken out of the lock.
 */
import { readFileSync, writeFileSync } from "node:fs"

export const lockFile = new URL("../package-lock.json", import.meta.url)

interface Lock {
  readonly packages: Readonly<Record<string, unknown>>
}

export interface Missing {
  readonly name: string
  readonly version: string
  readonly dev: boolean
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const parseLock = (text: string): Lock => {
  const lock: unknown = JSON.parse(text)
  if (!isRecord(lock) || !isRecord(lock["packages"])) throw new Error("package-lock.json has no `packages`")
  return { ...lock, packages: lock["packages"] }
}

/** Exact optional dependencies of any package that have no entry of that version. */
export const missingEntries = (lock: Lock): ReadonlyArray<Missing> => {
  const entries = Object.entries(lock.packages).flatMap(([path, entry]) => (isRecord(entry) ? [{ path, entry }] : []))
  const present = new Set(
    entries.map(({ entry, path }) => `${path.split("node_modules/").at(-1)}@${String(entry["version"])}`)
  )
  return entries.flatMap(({ entry }) =>
    Object.entries(isRecord(entry["optionalDependencies"]) ? entry["optionalDependencies"] : {}).flatMap(
      ([name, version]) =>
        typeof version === "string" && /^\d/.test(version) && !present.has(`${name}@${version}`)
          ? [{ name, version, dev: entry["dev"] === true }]
          : []
    )
  )
}

/** Paths of the optional packages that would be left out by an old Node. */
export const withEngines = (lock: Lock): ReadonlyArray<string> =>
  Object.entries(lock.packages).flatMap(([path, entry]) =>
    isRecord(entry) && entry["optional"] === true && "engines" in entry ? [path] : []
  )

const withoutEngines = (entry: unknown): unknown =>
  isRecord(entry) && entry["optional"] === true
    ? Object.fromEntries(Object.entries(entry).filter(([key]) => key !== "engines"))
    : entry

/** `@scope/tool-darwin-arm64` says its platform itself. */
const platformEntry = ({ dev, name, version }: Missing) => {
  const [os, cpu] = name.split("-").slice(-2)
  if (os === undefined || cpu === undefined) throw new Error(`${name} does not end in -<os>-<cpu>`)
  return { version, cpu: [cpu], ...(dev ? { dev } : {}), optional: true, os: [os] }
}

export const repaired = (lock: Lock): Lock => ({
  ...lock,
  packages: Object.fromEntries(
    [
      ...Object.entries(lock.packages).map(([path, entry]) => [path, withoutEngines(entry)] as const),
      ...missingEntries(lock).map((missing) => [`node_modules/${missing.name}`, platformEntry(missing)] as const)
    ].toSorted(([a], [b]) => a.localeCompare(b, "en"))
  )
})

if (import.meta.main) {
  const lock = parseLock(readFileSync(lockFile, "utf8"))
  const done = [
    ...missingEntries(lock).map(({ name, version }) => `added ${name} ${version}`),
    ...withEngines(lock).map((path) => `took the engines from ${path}`)
  ]
  if (done.length > 0) writeFileSync(lockFile, `${JSON.stringify(repaired(lock), null, 2)}\n`)
  console.log(done.length === 0 ? "the lock is whole" : done.join("\n"))
}
