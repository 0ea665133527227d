/** The memory of an agent that has a million points to deliver: to a store that takes them, and to one that cannot be reached. See README.md. */
import { cpSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { figure, printHead, printRow, rounds } from "../harness.ts"
import { ended, memoryMb, onlyRun, runPython, startAgent, startPython, temporary, until } from "../processes.ts"

const million = 1_000_000

/** Longer than the agent waits before it gives memory back (`Agent.ts`, 8 s). */
const idleMs = 11_000

/** How long a backend is away; asked for its status twice a second meanwhile, as a trainer that waits does. */
const awayMs = 10_000
const askEveryMs = 500

const recorded = temporary().dir
runPython(recorded, [
  "-c",
  `import tracelet
run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
for step in range(${million}): run.log_metric("loss", 0.5, step)
tracelet.stop_logging(wait=False)`
])
const run = onlyRun(recorded)

const fresh = async (): Promise<number> => {
  const { dir, remove } = temporary()
  const agent = await startAgent(dir)
  await sleep(1_500)
  const idle = memoryMb(agent.pid, "VmRSS")
  await agent.stop()
  remove()
  return idle
}

const delivered = async (): Promise<{ readonly peak: number; readonly idle: number }> => {
  const { dir, remove } = temporary()
  cpSync(recorded, dir, { recursive: true })
  const agent = await startAgent(dir)
  await until("delivery", 60_000, async () => (await agent.run(run))?.backends["local"]?.delivered === million)
  // It has let the run go: from then on it has nothing to do.
  await until("an agent with nothing to do", 60_000, async () => (await agent.runs()).length === 0)
  await sleep(idleMs)
  const memory = { peak: memoryMb(agent.pid, "VmHWM"), idle: memoryMb(agent.pid, "VmRSS") }
  await agent.stop()
  remove()
  return memory
}

/** Another process holds the lock of the store's file, so that no transaction can begin. */
const holder = `
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()`

const unreachable = async (): Promise<number> => {
  const { dir, remove } = temporary()
  cpSync(recorded, dir, { recursive: true })
  const { child } = await startPython(dir, ["-c", holder, join(dir, "store.db")])
  const agent = await startAgent(dir)
  let pending = 0
  let states = ""
  for (let waited = 0; waited < awayMs; waited += askEveryMs) {
    await sleep(askEveryMs)
    const backend = (await agent.run(run))?.backends["local"]
    pending = backend?.pending ?? 0
    states += `${backend?.state} `
  }
  if (pending !== million || !states.includes("waiting")) throw new Error(`${pending} behind: ${states}`)
  const peak = memoryMb(agent.pid, "VmHWM")
  child.kill("SIGKILL")
  await ended(child)
  await until("delivery", 120_000, async () => (await agent.run(run))?.backends["local"]?.delivered === million)
  await agent.stop()
  remove()
  return peak
}

const idle: Array<number> = []
const away: Array<number> = []
const peak: Array<number> = []
const after: Array<number> = []
for (let round = 0; round < rounds; round++) {
  idle.push(await fresh())
  away.push(await unreachable())
  const memory = await delivered()
  peak.push(memory.peak)
  after.push(memory.idle)
}
const beside = figure("an agent with nothing to do", idle)
const growth = (values: ReadonlyArray<number>) => values.map((value, i) => value - (idle[i] ?? NaN))

printHead()
printRow(
  "agent, growth at most, a million points behind and the store locked",
  "MB",
  [figure("growth", growth(away)), beside],
  "≤ 64"
)
printRow("agent, growth at most, delivering a million points", "MB", [figure("growth", growth(peak)), beside], "≤ 64")
printRow("agent, memory when idle again after a million points", "MB", [figure("after", after), beside], "≤ 80")
