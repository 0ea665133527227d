/**
 * How long from the spawn of an agent until it answers, and how much memory it has when idle; beside a bare Node server, run by run in
 * turns. See README.md. `node bench/agent/benchmark.ts [RUNS]`
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { figure, printHead, printRow } from "../harness.ts"
import { cpuMs, memoryMb } from "../processes.ts"

const root = join(import.meta.dirname, "..", "..")
const start = join(root, "packages", "bridge-python", "python", "src", "tracelet", "_agent", "start.cjs")
const bare = join(import.meta.dirname, "bare.cjs")
const runs = Number(process.argv[2] ?? 9)

/** Long enough for start-up garbage to be collected, short enough to be what an idle agent is like soon after. */
const idleMs = 1_500

/** Nobody waits longer for a server that does not come. */
const readyMsMax = 10_000

interface Sample {
  readonly readyMs: number
  readonly cpuMs: number
  readonly rssMb: number
}

const ask = (socketPath: string, token: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}` }
    const sent = request({ socketPath, path: "/v1/status", headers, agent: false }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode))
    })
    sent.once("error", () => resolve(undefined))
    sent.end()
  })

const parse = (file: string): { readonly address: string; readonly token: string } =>
  JSON.parse(readFileSync(file, "utf8"))

const measure = async (args: ReadonlyArray<string>, file: string): Promise<Sample> => {
  const began = performance.now()
  // As a trainer starts it (`_node.py`).
  const env = { MALLOC_MMAP_THRESHOLD_: "32768", ...process.env }
  const child = spawn(process.execPath, args, { stdio: "ignore", env })
  const pid = child.pid ?? 0
  const ended = new Promise((resolve) => child.once("exit", resolve))
  try {
    for (;;) {
      if (performance.now() - began > readyMsMax) throw new Error(`no answer from ${args.join(" ")}`)
      if (existsSync(file)) {
        const { address, token } = parse(file)
        const status = await ask(address, token)
        if (status === 200) break
        if (status !== undefined) throw new Error(`answered ${status}`)
      }
      await sleep(1)
    }
    const readyMs = performance.now() - began
    const cpu = cpuMs(pid)
    await sleep(idleMs)
    return { readyMs, cpuMs: cpu, rssMb: memoryMb(pid, "VmRSS") }
  } finally {
    child.kill("SIGTERM")
    await ended
  }
}

const withFolder = async (use: (folder: string) => Promise<Sample>): Promise<Sample> => {
  const folder = mkdtempSync(join(tmpdir(), "tracelet-bench-"))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const agent = () =>
  withFolder((folder) => {
    const dir = join(folder, ".tracelet")
    mkdirSync(dir)
    const file = () => join(dir, "agents", `${readFileSync("/proc/sys/kernel/hostname", "utf8").trim()}.json`)
    return measure([start, "--dir", dir], file())
  })

const reference = () =>
  withFolder((folder) => {
    const file = join(folder, "ready.json")
    return measure([bare, join(folder, "s.sock"), file], file)
  })

// Once without being counted: files come into memory, and the agent's compile cache is made.
await agent()
await reference()
await sleep(500)
const samples: { readonly agent: Array<Sample>; readonly bare: Array<Sample> } = { agent: [], bare: [] }
for (let i = 0; i < runs; i++) {
  samples.agent.push(await agent())
  samples.bare.push(await reference())
}
const row = (what: string, unit: string, value: (sample: Sample) => number, goal: string) =>
  printRow(
    what,
    unit,
    [figure("agent", samples.agent.map(value)), figure("a bare Node server", samples.bare.map(value))],
    goal
  )

printHead(runs)
row("agent, from its spawn to its first answer", "ms", ({ readyMs }) => readyMs, "≤ 150")
row("the same, processor time", "ms", ({ cpuMs: cpu }) => cpu, "")
row("agent, memory when idle", "MB", ({ rssMb: rss }) => rss, "≤ 80")
