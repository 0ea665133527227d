/** What benches of whole processes share: folders, trainers, agents, and what the kernel says of a process. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

const root = join(import.meta.dirname, "..")
export const command = join(root, "packages", "cli", "bin", "tracelet.mjs")
const modulePath = join(root, "packages", "bridge-python", "python", "src")
const agentStart = join(modulePath, "tracelet", "_agent", "start.cjs")

/** Nobody waits longer for an agent to answer. */
const readyMsMax = 20_000

const folders = new Set<string>()
process.once("exit", () => folders.forEach((home) => rmSync(home, { recursive: true, force: true })))

/** A folder that is gone when this process ends, or before. */
export const temporary = (): { readonly dir: string; readonly remove: () => void } => {
  const home = mkdtempSync(join(tmpdir(), "tracelet-bench-"))
  const remove = () => {
    rmSync(home, { recursive: true, force: true })
    folders.delete(home)
  }
  folders.add(home)
  const dir = join(home, ".tracelet")
  mkdirSync(dir)
  return { dir, remove }
}

/** The environment of a trainer of `dir`. It starts no agent unless told to. */
export const environment = (dir: string, agent: "off" | "on" = "off") => ({
  ...process.env,
  TRACELET_DIR: dir,
  TRACELET_AGENT: agent === "off" ? "off" : "",
  PYTHONPATH: modulePath,
  // Another agent's socket is not ours, whatever folder it is for.
  TRACELET_NODE: process.execPath
})

const python = process.env["TRACELET_PYTHON"] ?? "python3"

/** What a Python program prints. Throws when it fails. */
export const runPython = (dir: string, args: ReadonlyArray<string>, agent: "off" | "on" = "off"): string =>
  execFileSync(python, args, {
    env: environment(dir, agent),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 2 ** 28
  }).trim()

/** A Python program that goes on, and its first line. */
export const startPython = async (dir: string, args: ReadonlyArray<string>, agent: "off" | "on" = "off") => {
  const child = spawn(python, args, { env: environment(dir, agent), stdio: ["pipe", "pipe", "ignore"] })
  const line = await new Promise<string>((resolve, reject) => {
    let text = ""
    child.stdout.on("data", (part) => {
      text += String(part)
      if (text.includes("\n")) resolve(text.split("\n", 1)[0] ?? "")
    })
    child.once("exit", (code) => reject(new Error(`python ${args.join(" ")} ended with ${code}`)))
  })
  return { child, line }
}

export const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once("exit", () => resolve()))

interface Backend {
  readonly delivered: number
  readonly pending: number
  readonly state: string
  readonly reason?: string
}

interface Run {
  readonly id: string
  readonly drained: boolean
  readonly status: string
  readonly backends: { readonly [name: string]: Backend }
}

export interface Agent {
  readonly pid: number
  readonly readyMs: number
  readonly runs: () => Promise<ReadonlyArray<Run>>
  readonly run: (id: string) => Promise<Run | undefined>
  readonly stop: () => Promise<void>
}

interface Address {
  readonly pid: number
  readonly address: string
  readonly token: string
}

const ask = (at: Address, method: string, path: string): Promise<{ readonly status: number; readonly text: string }> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${at.token}` }
    const sent = request({ socketPath: at.address, method, path, headers, agent: false }, (response) => {
      let text = ""
      response.on("data", (part) => (text += String(part)))
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }))
    })
    sent.once("error", reject)
    sent.end()
  })

const addressOf = (dir: string): Address | undefined => {
  try {
    const [name] = readdirSync(join(dir, "agents")).filter((file) => file.endsWith(".json"))
    return name === undefined ? undefined : JSON.parse(readFileSync(join(dir, "agents", name), "utf8"))
  } catch {
    return undefined
  }
}

/** The agent of a folder when it answers; `spawned` is when that began, in `performance.now()`. */
const findAgent = async (dir: string, spawned = performance.now()): Promise<Agent> => {
  const began = performance.now()
  for (;;) {
    if (performance.now() - began > readyMsMax) throw new Error(`no agent answers for ${dir}`)
    const at = addressOf(dir)
    const answer = at === undefined ? undefined : await ask(at, "GET", "/v1/status").catch(() => undefined)
    if (at === undefined || answer?.status !== 200) {
      await sleep(1)
      continue
    }
    const readyMs = performance.now() - spawned
    return {
      pid: at.pid,
      readyMs,
      runs: async () => JSON.parse((await ask(at, "GET", "/v1/status")).text).runs,
      run: async (id) => {
        const { status, text } = await ask(at, "GET", `/v1/runs/${id}`)
        return status === 200 ? JSON.parse(text) : undefined
      },
      stop: async () => {
        await ask(at, "POST", "/v1/stop").catch(() => undefined)
        while (isThere(at.pid)) await sleep(10)
      }
    }
  }
}

/** As a trainer starts it (`_node.py`), but as this process's child. */
export const startAgent = (dir: string, idleSeconds = 600): Promise<Agent> => {
  const spawned = performance.now()
  spawn(process.execPath, [agentStart, "--dir", dir, "--idle", String(idleSeconds)], {
    stdio: "ignore",
    env: { MALLOC_MMAP_THRESHOLD_: "32768", ...process.env }
  })
  return findAgent(dir, spawned)
}

const isThere = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")
  } catch {
    return false
  }
}

/** Of /proc/PID/status, in MB: `VmRSS` now, `VmHWM` the most there was. */
export const memoryMb = (pid: number, field: "VmRSS" | "VmHWM"): number =>
  Number(new RegExp(`${field}:\\s*(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** User and system time so far, in ticks of 10 ms. */
export const cpuMs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Megabytes (10^6) of the blocks that files and folders below `path` have on the disk. */
export const diskMb = (path: string): number => {
  let blocks = statSync(path).blocks
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    blocks += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0
  }
  return (blocks * 512) / 1e6
}

/** Until `holds` answers true, looked for every 50 ms. */
export const until = async (what: string, msMax: number, holds: () => Promise<boolean> | boolean): Promise<void> => {
  const began = performance.now()
  while (!(await holds())) {
    if (performance.now() - began > msMax) throw new Error(`${what}: not within ${msMax} ms`)
    await sleep(50)
  }
}

/** The id of the only run of a folder. */
export const onlyRun = (dir: string): string => {
  const [id, ...others] = readdirSync(join(dir, "runs"))
  if (id === undefined || others.length > 0) throw new Error(`${others.length + 1} runs in ${dir}`)
  return id
}
