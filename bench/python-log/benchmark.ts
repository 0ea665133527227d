/** What capture costs a Python trainer. See README.md beside it. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { figure, interleave, printHead, printRow, rounds } from "../harness.ts"

const python = process.env["TRACELET_PYTHON"] ?? "python3"
const dir = mkdtempSync(join(tmpdir(), "tracelet-bench-"))
process.on("exit", () => rmSync(dir, { recursive: true, force: true }))

const env = {
  ...process.env,
  TRACELET_DIR: dir,
  TRACELET_AGENT: "off",
  PYTHONPATH: join(import.meta.dirname, "../../packages/bridge-python/python/src")
}

const run = (...args: ReadonlyArray<string>): string =>
  execFileSync(python, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })

const measure = (what: string): { readonly [key: string]: number | ReadonlyArray<number> } =>
  JSON.parse(run(join(import.meta.dirname, "measure.py"), what))

const at = (value: number | ReadonlyArray<number> | undefined, index: number): number =>
  typeof value === "number" ? value : (value?.[index] ?? NaN)

/** A process measures subject and reference together; each is handed out in its turn. */
const shared = (
  what: string,
  unit: number,
  index: number,
  keys: ReadonlyArray<readonly [key: string, name: string]>
) => {
  let result: ReturnType<typeof measure> = {}
  return keys.map(([key, name], i) => ({
    name,
    measure: () => {
      if (i === 0) result = measure(what)
      return at(result[key], index) / unit
    }
  }))
}

/** Milliseconds of a whole process. */
const wall = (code: string) => () => {
  const from = performance.now()
  run("-c", code)
  return performance.now() - from
}

printHead()
const quiet = [
  ["quiet", "log_metric"],
  ["quietWrite", "`os.write` of 40 bytes"],
  ["call", "a function that does nothing"]
] as const
const busy = [
  ["busy", "log_metric"],
  ["busyWrite", "`os.write` of 40 bytes"]
] as const
const importing = [
  ["import", "import"],
  ["reference", "`import logging, dataclasses, http.client`"]
] as const
/** Figures of a call: its median and its mean. */
const [p50, mean] = [0, 1]

for (const [what, unit, subjects, goal] of [
  ["Python `log_metric`, one scalar of a known series, quiet, p50", "µs", shared("log", 1_000, p50, quiet), "≤ 1"],
  ["the same beside a thread that never rests, p50", "µs", shared("log", 1_000, p50, busy), "≤ 2"],
  ["the same, mean", "µs", shared("log", 1_000, mean, busy), ""],
  ["`import tracelet`", "ms", shared("import", 1, 0, importing), "≤ 25"],
  [
    "`start_logging`",
    "ms",
    [
      { name: "start_logging", measure: () => at(measure("start")["start"], 0) },
      { name: "`python -c pass`", measure: wall("pass") }
    ],
    "≤ 60"
  ]
] as const) {
  printRow(what, unit, await interleave(subjects), goal)
}

const tails = new Map<string, Array<ReadonlyArray<number>>>()
for (let round = -1; round < rounds; round++) {
  for (const [key, value] of Object.entries(measure("tail"))) {
    if (round >= 0 && typeof value !== "number") tails.set(key, [...(tails.get(key) ?? []), value])
  }
}
for (const [key, where] of [
  ["idle", "quiet"],
  ["checkpoint", "beside a checkpoint written to the same disk"]
] as const) {
  for (const [i, percentile] of ["p50", "p99", "p99.9", "the most in 3 s"].entries()) {
    const column = (name: string, of: string) =>
      figure(
        name,
        (tails.get(of) ?? []).map((values) => at(values, i) / 1_000)
      )
    printRow(
      `a call of \`log_metric\` with the clock's own cost, ${where}, ${percentile}`,
      "µs",
      [column("log_metric", key), column("`os.write` of 40 bytes", `${key}Write`)],
      ""
    )
  }
}
