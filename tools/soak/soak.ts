/**
 * A trainer at a steady pace under an agent, with a checkpoint written to the same disk: samples, once a second, of the memory of both and of
 * how far the local store is behind; at the end every point is looked for in the store.
 */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import * as Agent from "../folder/agent.ts"
import * as Stored from "../folder/stored.ts"
import { pythonPath } from "../setup/python.ts"

export interface Options {
  /** Points a second. */
  readonly rate: number
  readonly seconds: number
  /** Megabytes of the checkpoint, written anew every ten seconds; 0: none. */
  readonly checkpointMb: number
}

export interface Sample {
  readonly second: number
  readonly logged: number
  /** MB. */
  readonly trainer: number
  readonly agent: number
  /** Points that were journalled and not in the store, as the agent says. */
  readonly behind: number
}

export interface Result {
  readonly samples: ReadonlyArray<Sample>
  readonly logged: number
  /** Points in the store that are what was logged, at their place. */
  readonly stored: number
  /** The longest single call, in ms. */
  readonly slowestMs: number
}

const checkpointEverySeconds = 10

/** How long the agent may take for what is left when the trainer has ended. */
const settleMsMax = 60_000

const rssMb = (pid: number): number =>
  Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** Throws when the trainer fails. */
export const soak = async (options: Options, show: (sample: Sample) => void = () => {}): Promise<Result> => {
  const home = mkdtempSync(join(tmpdir(), "tracelet-soak-"))
  const folder = join(home, ".tracelet")
  mkdirSync(folder)
  const env = { ...process.env, TRACELET_DIR: folder, TRACELET_AGENT: "", PYTHONPATH: Agent.modulePath }
  const program = (name: string) => join(import.meta.dirname, name)
  const { checkpointMb, rate, seconds } = options
  const writer =
    checkpointMb === 0
      ? undefined
      : spawn(
          pythonPath,
          [program("checkpoint.py"), join(home, "checkpoint"), String(checkpointMb), String(checkpointEverySeconds)],
          { stdio: "ignore" }
        )
  const trainer = spawn(pythonPath, [program("trainer.py"), String(rate), String(seconds)], {
    env,
    stdio: ["ignore", "pipe", "inherit"]
  })
  const ended = new Promise<number | null>((resolve) => trainer.once("close", resolve))
  try {
    const lines = createInterface({ input: trainer.stdout })[Symbol.asyncIterator]()
    const run: string = (await lines.next()).value ?? ""
    const samples: Array<Sample> = []
    let slowestMs = 0
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      const [logged = NaN, memory = NaN, slowest = NaN] = line.value.split(" ").map(Number)
      slowestMs = slowest
      const asked = await Effect.runPromise(
        Effect.gen(function* () {
          const client = yield* AgentClient.find(folder)
          const view = yield* client.run(RunId.make(run))
          return { pid: client.address.pid, pending: view?.backends["local"]?.pending }
        }).pipe(Effect.option)
      )
      const second = samples.length + 1
      if (asked._tag === "None" || asked.value.pending === undefined) {
        // The agent is just starting: everything is behind.
        samples.push({ second, logged, trainer: memory, agent: NaN, behind: logged })
      } else {
        samples.push({ second, logged, trainer: memory, agent: rssMb(asked.value.pid), behind: asked.value.pending })
      }
      const last = samples.at(-1)
      if (last !== undefined) show(last)
    }
    const code = await ended
    if (code !== 0) throw new Error(`the trainer ended with ${code}`)
    await Effect.runPromise(Agent.settled(folder, run, { msMax: settleMsMax, mustExist: true }))
    const all = await Effect.runPromise(Stored.series(run).pipe(Effect.provide(Stored.layer(folder))))
    return { samples, logged: rate * seconds, stored: countRight(all), slowestMs }
  } finally {
    writer?.kill("SIGKILL")
    trainer.kill("SIGKILL")
    await Effect.runPromise(Agent.stop(folder))
    rmSync(home, { recursive: true, force: true })
  }
}

/** Point n of the trainer is in series n mod 10 at step n div 10, with the value n. */
const countRight = (all: ReadonlyMap<Stored.SeriesKey, Stored.Columns>): number => {
  let right = 0
  for (let number = 0; number < 10; number++) {
    const { steps, values } = all.get(Stored.keyOf(`metric/${number}`, {})) ?? { steps: [], values: [] }
    for (let i = 0; i < steps.length; i++) if (steps[i] === i && values[i] === i * 10 + number) right++
  }
  return right
}

export interface Judgement {
  readonly what: string
  readonly figure: string
  readonly isMet: boolean
}

/** Growth is from the median of the first quarter, when caches have filled, to that of the last. */
export const judge = (result: Result, { rate }: Options): ReadonlyArray<Judgement> => {
  const { logged, samples, stored } = result
  const quarter = Math.max(1, Math.floor(samples.length / 4))
  const growth = (of: (sample: Sample) => number): number => {
    const known = samples.map(of).filter((value) => !Number.isNaN(value))
    return median(known.slice(-quarter)) - median(known.slice(0, quarter))
  }
  const trainer = growth((sample) => sample.trainer)
  const agent = growth((sample) => sample.agent)
  const most = Math.max(...samples.map((sample) => sample.agent).filter((value) => !Number.isNaN(value)))
  // The first seconds are the agent's start.
  const behind = median(samples.slice(quarter).map((sample) => sample.behind))
  return [
    { what: "points that are missing or wrong", figure: String(logged - stored), isMet: logged === stored },
    // A mapped segment of 8 MiB, and the next one, count as the trainer's.
    { what: "trainer's memory, growth", figure: `${trainer.toFixed(1)} MB`, isMet: trainer <= trainerGrowthMbMax },
    { what: "agent's memory, growth", figure: `${agent.toFixed(1)} MB`, isMet: agent <= agentGrowthMbMax },
    { what: "agent's memory, most", figure: `${most.toFixed(1)} MB`, isMet: most <= agentMbMax },
    { what: "points behind, median", figure: String(behind), isMet: behind <= 2 * rate }
  ]
}

const trainerGrowthMbMax = 20
const agentGrowthMbMax = 24
const agentMbMax = 130

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
