/** A folder of a thousand short runs: its size, and how soon the agent and the command line answer there. See README.md beside it. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { figure, interleave, printHead, printRow, rounds } from "../harness.ts"
import { command, cpuMs, diskMb, environment, runPython, startAgent, temporary, until } from "../processes.ts"

const count = Number(process.argv[2] ?? 1_000)

/** How long an agent is watched that has nothing to do. */
const watchedMs = 10_000

const { dir } = temporary()
const live = Number(runPython(dir, [join(import.meta.dirname, "trainer.py"), String(count)]))
const ended = diskMb(join(dir, "runs"))

const first = await startAgent(dir)
const began = performance.now()
await until("delivery", 300_000, async () => {
  const runs = await first.runs()
  return performance.now() - began > 3_000 && runs.length === 0
})
const deliveredMs = performance.now() - began
await first.stop()
// What the agent does by and by, four runs a second: an agent that has nothing to do is measured.
const archived = spawnSync(process.execPath, [command, "archive"], { env: environment(dir), encoding: "utf8" })
if (archived.status !== 0) throw new Error(`archive ended with ${archived.status}: ${archived.stderr}`)
const stored = diskMb(dir)

const ms = (args: ReadonlyArray<string>, holds: (out: string) => boolean) => () => {
  const from = performance.now()
  const { status, stdout } = spawnSync(process.execPath, args, { env: environment(dir), encoding: "utf8" })
  const took = performance.now() - from
  if (status !== 0 || !holds(stdout)) throw new Error(`a wrong answer to ${args.join(" ")}:\n${stdout.slice(0, 500)}`)
  return took
}
const { dir: empty } = temporary()
const ready: Array<number> = []
const readyEmpty: Array<number> = []
const reached: Array<number> = []
const known: Array<number> = []
const asked: Array<number> = []
const idle: Array<number> = []
const idleEmpty: Array<number> = []
for (let round = 0; round < rounds; round++) {
  // The one without work first: it leaves the other in peace.
  const bare = await startAgent(empty)
  const agent = await startAgent(dir)
  ready.push(agent.readyMs)
  readyEmpty.push(bare.readyMs)
  await sleep(2_000)
  const [answered = NaN, told = NaN, request = NaN] = runPython(dir, [join(import.meta.dirname, "reach.py")], "on")
    .split(" ")
    .map(Number)
  reached.push(answered)
  known.push(told)
  asked.push(request)
  await agent.stop()
  await bare.stop()
}

const agent = await startAgent(dir)
const bare = await startAgent(empty)
// It looks at 64 runs a second, and at each of them more closely the first time.
await sleep((count / 64) * 1_000 + 5_000)
for (let round = 0; round < rounds; round++) {
  const [before, beforeBare] = [cpuMs(agent.pid), cpuMs(bare.pid)]
  await sleep(watchedMs)
  idle.push((cpuMs(agent.pid) - before) / (watchedMs / 1_000))
  idleEmpty.push((cpuMs(bare.pid) - beforeBare) / (watchedMs / 1_000))
}
await agent.stop()
await bare.stop()
const lines = count + rounds
const [list, listTen, nothing] = await interleave([
  { name: "runs", measure: ms([command, "runs", "--json"], (out) => JSON.parse(out).length === lines) },
  {
    name: "runs of ten",
    measure: ms([command, "runs", "--json", "--limit", "10"], (out) => JSON.parse(out).length === 10)
  },
  { name: "node -e 0", measure: ms(["-e", "0"], () => true) }
])

printHead()
const runs = count.toLocaleString("en")
const least = figure("40 bytes a point", [(count * 100 * 40) / 1e6])
printRow(`${runs} runs of 100 points, on the disk while they live`, "MB", [figure("live", [live]), least], "≤ 100")
printRow("the same when they have ended", "MB", [figure("ended", [ended]), least], "")
printRow("the same delivered and archived, with their store", "MB", [figure("stored", [stored]), least], "")
printRow(`agent, until ${runs} runs are delivered`, "ms", [figure("delivered", [deliveredMs])], "")
const emptyReady = figure("in an empty folder", readyEmpty)
printRow(
  `agent, from its spawn to its first answer, in a folder of ${runs} ended runs`,
  "ms",
  [figure("ready", ready), emptyReady],
  "≤ 150"
)
const request = figure("one more request to it", asked)
printRow(
  "trainer, from the end of `start_logging` until an agent that runs has answered it",
  "ms",
  [figure("answered", reached), request],
  "≤ 20"
)
printRow("the same until that agent delivers the run", "ms", [figure("known", known), request], "")
printRow(
  `agent with nothing to do in a folder of ${runs} ended runs`,
  "ms of CPU a second",
  [figure("idle", idle), figure("in an empty folder", idleEmpty)],
  "≤ 10"
)
if (list !== undefined && listTen !== undefined && nothing !== undefined) {
  printRow(`\`tracelet runs\` of ${runs} runs`, "ms", [list, nothing], "")
  printRow("`tracelet runs --limit 10` there", "ms", [listTen, nothing], "")
}
