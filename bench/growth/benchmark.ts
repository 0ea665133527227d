/** What a point costs in a run that is long, or has many series. See README.md beside it. */
import { spawnSync } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import { Backend } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import { deliver } from "@tracelet/core/Pipeline"
import { RunId } from "@tracelet/core/Run"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { figure, interleave, median, printHead, printRow, rounds, type Figure } from "../harness.ts"
import { command, environment, onlyRun, runPython, temporary } from "../processes.ts"

const captureProgram = join(import.meta.dirname, "capture.py")

interface Shape {
  readonly series: number
  readonly points: number
}

const name = ({ points, series }: Shape): string =>
  series === 1
    ? `${points.toLocaleString("en")} points of one series`
    : `${series.toLocaleString("en")} series × ${points.toLocaleString("en")}`

const lengths: ReadonlyArray<Shape> = [1e5, 1e3, 1e4, 1e6, 1e7].map((points) => ({ series: 1, points }))
const widths: ReadonlyArray<Shape> = [
  { series: 10, points: 1e5 },
  { series: 1_000, points: 1_000 },
  { series: 10_000, points: 100 },
  { series: 100_000, points: 10 }
]

/** Microseconds a point of `log_metric`, over what the same loop costs with a plain function: so that the machine's moods cancel out. */
const capture = (shape: Shape): readonly [ours: number, beside: number] => {
  const { dir, remove } = temporary()
  const [ours = NaN, beside = NaN] = runPython(dir, [captureProgram, String(shape.series), String(shape.points)])
    .split(" ")
    .map((text) => Number(text) / 1_000)
  remove()
  return [ours, beside]
}

const captured = new Map<Shape, Array<readonly [number, number]>>()
for (let round = -1; round < rounds; round++) {
  for (const shape of [...lengths, ...widths]) {
    const measured = capture(shape)
    if (round >= 0) captured.set(shape, [...(captured.get(shape) ?? []), measured])
  }
}

printHead()
const columnOf = (shape: Shape, index: 0 | 1) => (captured.get(shape) ?? []).map((pair) => pair[index])
const [usual, ...others] = lengths
if (usual === undefined) throw new Error("nothing to compare with")
const usualTimes = median((captured.get(usual) ?? []).map(([ours, beside]) => ours / beside))
const captureRow = (shape: Shape, goal: string): void =>
  printRow(
    `Python \`log_metric\`, mean, ${name(shape)}`,
    "µs a point",
    [figure("ours", columnOf(shape, 0)), figure("packing 40 bytes in Python", columnOf(shape, 1))],
    goal
  )
captureRow(usual, "")
// Flat means as many times the reference as at 10^5 points, within a fifth.
const flat = `${(0.8 * usualTimes).toFixed(2)}–${(1.2 * usualTimes).toFixed(2)} ×`
for (const shape of others) captureRow(shape, flat)
for (const shape of widths) captureRow(shape, shape.series === 100_000 ? "≤ 5" : "")

// ---- from the journal to the local store ----

const recorded = (shape: Shape): { readonly shape: Shape; readonly dir: string; readonly run: RunId } => {
  const { dir } = temporary()
  const code = `
import tracelet
run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
for step in range(${shape.points}):
    for number in range(${shape.series}): run.log_metric(f"metric/{number}", 0.5, step)
tracelet.stop_logging(wait=False)`
  runPython(dir, ["-c", code])
  return { shape, dir, run: RunId.make(onlyRun(dir)) }
}

const forgetStore = (dir: string, run: string): void => {
  for (const file of ["store.db", "store.db-wal", "store.db-shm"]) rmSync(join(dir, file), { force: true })
  rmSync(join(dir, "runs", run, "cursors"), { recursive: true, force: true })
}

/** Microseconds a point until all of it is confirmed and closed. */
const delivery = async ({ dir, run, shape }: ReturnType<typeof recorded>): Promise<number> => {
  forgetStore(dir, run)
  const points = shape.series * shape.points
  const began = performance.now()
  const delivered = await Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const opened = yield* journal.open(run)
    const started = yield* opened.started
    if (started === undefined) return 0
    const backend = Context.get(yield* Layer.build(LocalBackend.layer({ file: join(dir, "store.db") })), Backend)
    const target = { backend, route: undefined, processors: [], permits: yield* Semaphore.make(1) }
    const lanes = yield* deliver(opened, started, new Map([["local", target]]))
    if (lanes === undefined) return 0
    yield* lanes.settled
    return (yield* lanes.backends).get("local")?.delivered ?? 0
  }).pipe(
    Effect.scoped,
    Effect.provide(Journal.layerFile({ dir }).pipe(Layer.provide(NodePlatform.layer))),
    Effect.runPromise
  )
  if (delivered !== points) throw new Error(`${delivered} of ${points} points`)
  return ((performance.now() - began) * 1_000) / points
}

const shapes = [{ series: 1, points: 1e6 }, { series: 1, points: 1e5 }, ...widths].map(recorded)
const deliveries = await interleave(shapes.map((run) => ({ name: name(run.shape), measure: () => delivery(run) })))
const [reference] = deliveries
const goals = new Map([[name({ series: 100_000, points: 10 }), "≤ 5"]])
for (const own of deliveries) {
  const beside: ReadonlyArray<Figure> = own === reference || reference === undefined ? [] : [reference]
  printRow(`journal to local store, ${own.name}`, "µs a point", [own, ...beside], goals.get(own.name) ?? "")
}

// ---- the command line on 100,000 series ----

const widest = shapes.at(-1)
if (widest === undefined) throw new Error("no run")
const { dir } = widest
const ms = (args: ReadonlyArray<string>, holds: (out: string) => boolean) => () => {
  const began = performance.now()
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    env: environment(dir),
    maxBuffer: 2 ** 28
  })
  const took = performance.now() - began
  if (status !== 0 || !holds(stdout)) throw new Error(`a wrong answer to ${args.join(" ")}`)
  return took
}
const [show, runs, bare] = await interleave([
  { name: "show", measure: ms([command, "show", "bench"], (out) => out.includes("Series (100,000)")) },
  { name: "runs", measure: ms([command, "runs"], (out) => out.includes("1,000,000")) },
  { name: "node -e 0", measure: ms(["-e", "0"], () => true) }
])
if (show !== undefined && runs !== undefined && bare !== undefined) {
  printRow("`tracelet show` of a run of 100,000 series × 10", "ms", [show, bare], "")
  printRow("`tracelet runs` beside that run", "ms", [runs, bare], "")
}
