/** What one backend at fault costs the three beside it. See README.md. */
import { spawn } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Semaphore from "effect/Semaphore"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import { Backend } from "@tracelet/core/Backend"
import type { Target } from "@tracelet/core/Delivery"
import * as Journal from "@tracelet/core/Journal"
import { deliver } from "@tracelet/core/Pipeline"
import { RunId } from "@tracelet/core/Run"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { figure, printHead, printRow, rounds as roundsElsewhere } from "../harness.ts"
import { onlyRun, runPython, temporary } from "../processes.ts"
import * as HttpBackend from "./HttpBackend.ts"

const points = Number(process.argv[2] ?? 1_000_000)
/** Twice as many as elsewhere: the interval is what is promised, and it needs them. */
const rounds = 2 * roundsElsewhere + 1
const faults = ["hung", "slow", "failing", "rubbish"] as const
/** Two embedded stores and two services: the last one is the one at fault. */
const healthy = ["store-1", "store-2", "service-1"] as const

const { dir } = temporary()
runPython(dir, [
  "-c",
  `import tracelet
run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
for step in range(${points}): run.log_metric(f"metric/{step % 5}", 0.5, step)
tracelet.stop_logging(wait=False)`
])
const run = RunId.make(onlyRun(dir))

const service = (file: string) =>
  new Promise<{ readonly port: number; readonly behave: (mood: string) => void; readonly end: () => void }>(
    (resolve) => {
      const child = spawn(process.execPath, [join(import.meta.dirname, "service.ts"), file], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      createInterface({ input: child.stdout }).once("line", (line) =>
        resolve({
          port: Number(line),
          behave: (mood) => void child.stdin.write(`${mood}\n`),
          end: () => child.stdin.end()
        })
      )
    }
  )

const received = join(dir, "received.ndjson")
const sound = await service(received)
const faulty = await service(join(dir, "other.ndjson"))

const forget = (): void => {
  for (const name of [...healthy, "service-2"]) {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(dir, `${name}.db${suffix}`), { force: true })
  }
  rmSync(join(dir, "runs", run, "cursors"), { recursive: true, force: true })
  rmSync(received, { force: true })
  rmSync(join(dir, "other.ndjson"), { force: true })
}

const local = (name: string) =>
  Effect.map(Layer.build(LocalBackend.layer({ file: join(dir, `${name}.db`) })), (context) =>
    Context.get(context, Backend)
  )

/** Points a second that each of the sound three has confirmed, on average, while the fourth behaves as it is told. */
const rate = async (mood: string): Promise<number> => {
  forget()
  faulty.behave(mood)
  const took = await Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const opened = yield* journal.open(run)
    const started = yield* opened.started
    if (started === undefined) throw new Error("no run")
    const target = (backend: Backend["Service"]): Target => ({
      backend,
      route: undefined,
      processors: [],
      permits: Semaphore.makeUnsafe(4)
    })
    const targets = new Map<string, Target>([
      ["store-1", target(yield* local("store-1"))],
      ["store-2", target(yield* local("store-2"))],
      ["service-1", target(HttpBackend.make("service-1", sound.port))],
      ["service-2", target(HttpBackend.make("service-2", faulty.port))]
    ])
    const began = performance.now()
    const delivery = yield* deliver(opened, started, targets)
    if (delivery === undefined) throw new Error("another process delivers")
    const msByName = new Map<string, number>()
    while (msByName.size < healthy.length) {
      yield* Effect.sleep(5)
      const standings = yield* delivery.backends
      for (const name of healthy) {
        const standing = standings.get(name)
        if (!msByName.has(name) && standing?.state === "done" && standing.delivered === points) {
          msByName.set(name, performance.now() - began)
        }
      }
    }
    return [...msByName.values()]
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(Logger.layer([]), Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer))),
    Effect.runPromise
  )
  const lines = readFileSync(received, "utf8").split('"key"').length - 1
  if (lines !== points) throw new Error(`the sound service has ${lines} of ${points} points`)
  return took.reduce((sum, ms) => sum + points / ms, 0) / took.length
}

await rate("well")
const rates = new Map<string, Array<number>>()
for (let round = 0; round < rounds; round++) {
  for (const mood of ["well", ...faults]) rates.set(mood, [...(rates.get(mood) ?? []), await rate(mood)])
}
sound.end()
faulty.end()

/** Student's t at 97.5 % for n − 1 degrees of freedom, n = 2, 3, … */
const studentsT = [12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145]

/** The lower end of the 95 % interval of the mean. */
const lowerEnd = (values: ReadonlyArray<number>): number => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  return (
    mean - (studentsT[Math.min(values.length, studentsT.length + 1) - 2] ?? 2) * Math.sqrt(variance / values.length)
  )
}

printHead(rounds)
const well = rates.get("well") ?? []
const beside = figure("the same with none at fault", well)
for (const fault of faults) {
  const own = rates.get(fault) ?? []
  const shares = own.map((value, i) => (100 * value) / (well[i] ?? NaN))
  const what = `three backends, each, beside one that is ${fault}`
  printRow(what, "thousand points/s", [figure(fault, own), beside], "≥ 0.98 ×")
  printRow(
    "the same as a share of none at fault, lower end of the 95 % interval",
    "%",
    [figure(fault, [lowerEnd(shares)])],
    "≥ 95"
  )
}
