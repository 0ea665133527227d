/**
 * How long `tracelet show`, `runs` and `export` take on a run of a million points, the start of Node included, beside a Node that does
 * nothing, in the same rounds. See README.md.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Journal from "@tracelet/core/Journal"
import { runStarted } from "@tracelet/core/RunEvent"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { interleave, printHead, printRow } from "../harness.ts"

const root = join(import.meta.dirname, "..", "..")
const command = join(root, "packages", "cli", "bin", "tracelet.mjs")
const million = 1_000_000
const seriesNames = ["train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"]
const spike = 1_234.5

if (!existsSync(join(root, "packages", "cli", "dist", "tracelet.cjs"))) throw new Error("run `npm run build` first")

const dir = join(mkdtempSync(join(tmpdir(), "tracelet-bench-")), ".tracelet")
process.once("exit", () => rmSync(join(dir, ".."), { recursive: true, force: true }))

const write = (name: string, points: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const id = yield* journal.newRunId
      const writer = yield* journal.write({ run: id, role: "primary" })
      const local = { name: "local", plugin: "backend.local", version: "0.1.0", config: {} }
      writer.event(runStarted(id, { time: 1_790_000_000, project: "bench", name, backends: [local] }))
      for (let i = 0; i < points; i++) {
        const step = Math.floor(i / seriesNames.length)
        const value = i === points / 2 ? spike : Math.sin(i / 50_000) + ((i * 7_919) % 1_000) / 1_000
        writer.point(seriesNames[i % seriesNames.length] ?? "", value, step, undefined, 1_790_000_000 + i / 1_000)
        if (writer.isFull) yield* writer.commit
      }
      writer.event({ _tag: "RunFinished", time: 1_790_002_000, status: "finished" })
      yield* writer.commit
    })
  )

await Effect.runPromise(
  Effect.andThen(write("million", million), write("hundred", 100)).pipe(
    Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer))
  )
)

/** Milliseconds until the process is over, and what it printed. */
const run = (args: ReadonlyArray<string>): readonly [number, string] => {
  const start = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 2 ** 30 })
  const took = performance.now() - start
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
  return [took, stdout]
}

const tracelet = (args: ReadonlyArray<string>, check: (out: string) => boolean) => () => {
  const [took, out] = run([command, ...args, "--dir", dir])
  if (!check(out)) throw new Error(`a wrong answer to ${args.join(" ")}:\n${out.slice(0, 2_000)}`)
  return took
}

const forgetStore = (): void => {
  for (const name of ["store.db", "store.db-wal", "store.db-shm"]) rmSync(join(dir, name), { force: true })
}

const show = (name: string, points: string) =>
  tracelet(["show", name], (out) => out.includes(`${points} points`) && out.split("└").length === 5)

const exported = join(dir, "..", "million.jsonl")
const exportMillion = tracelet(["export", "million", "--output", exported], (out) => out === "")
const showMillion = show("million", "1,000,000")

printHead()
const bare = { name: "node -e 0", measure: () => run(["-e", "0"])[0] }
const firstShow = () => {
  forgetStore()
  return show("million", "1,000,000")()
}
const first = await interleave([{ name: "first", measure: firstShow }, bare])
const figures = await interleave([
  { name: "show", measure: showMillion },
  { name: "show of a hundred", measure: show("hundred", "100") },
  { name: "runs", measure: tracelet(["runs"], (out) => out.split("\n").length === 4) },
  { name: "export", measure: exportMillion },
  bare
])
const [million1, hundred, runs, all, nothing] = figures
for (const [what, figure, goal] of [
  ["show, 1 M points in 5 series, 4 charts", million1, "≤ 500"],
  ["show, 100 points", hundred, ""],
  ["runs", runs, ""],
  ["export of 1 M points to a file", all, "≤ 3,333"]
] as const) {
  if (figure !== undefined && nothing !== undefined) printRow(what, "ms", [figure, nothing], goal)
}
printRow("show, 1 M points, when the store has to be built first", "ms", first, "")

const [, page] = run([command, "show", "million", "--json", "--dir", dir])
if (!page.includes(`"max": ${spike}`)) throw new Error("the spike is gone")
const lines = readFileSync(exported, "utf8").split("\n").length - 1
if (lines !== million + 1) throw new Error(`exported ${lines} lines`)
