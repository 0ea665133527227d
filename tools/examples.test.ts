/** Every example against the transcript that lies beside it, and against what the store has of it afterwards. */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { parseLastLine, train, verdict, type Training } from "./demo/training.ts"
import { bundledAgent, modulePath, stop } from "./folder/agent.ts"
import { findPython } from "./setup/findPython.mjs"
import { root } from "./setup/packages.mjs"
import { pythonPath } from "./setup/python.ts"

const python = existsSync(pythonPath) ? pythonPath : findPython().executable
const hasTorch =
  spawnSync(python, [
    "-c",
    "import importlib.util as u; exit(not all(map(u.find_spec, ('torch', 'lightning', 'tensorboard'))))"
  ]).status === 0

const programs: Readonly<Record<string, string>> = { ".venv/bin/python": python, "npx node": process.execPath }

/** The command in a transcript's first line, and what it prints. */
const readTranscript = (example: string): { readonly training: Training; readonly lines: ReadonlyArray<string> } => {
  const [first = "", ...lines] = readFileSync(join(root, "examples", example, "expected.txt"), "utf8")
    .trimEnd()
    .split("\n")
  const [, name = "", rest = ""] = /^\$ (npx node|\S+) (.+)$/.exec(first) ?? []
  return { training: { title: example, program: programs[name] ?? name, args: rest.split(" ") }, lines }
}

const number = /\d+(?:\.\d+)?/g
/** Python sums differently since 3.12, and mathematical functions differ in their last bit: numbers drift apart. */
const drift = 0.05
/** So does arithmetic that the processor's own instructions decide. */
const driftOfTorch = 0.5

const expectTranscript = (printed: ReadonlyArray<string>, wanted: ReadonlyArray<string>, tolerance: number) => {
  const shape = (line: string) =>
    line
      .replace(/run [0-9a-f]{32}:/, "run <id>:")
      .replace(/\d+\.\d s$/, "<seconds> s")
      .replaceAll(number, "#")
  expect(printed.map(shape)).toEqual(wanted.map(shape))
  for (const [i, line] of wanted.entries()) {
    if (line.includes("<")) continue
    const numbers = printed[i]?.match(number)?.map(Number) ?? []
    for (const [j, text] of (line.match(number) ?? []).entries()) {
      expect(Math.abs((numbers[j] ?? NaN) / Number(text) - 1), `${printed[i]}, not ${line}`).toBeLessThan(tolerance)
    }
  }
}

describe("the examples", () => {
  const folder = join(mkdtempSync(join(tmpdir(), "tracelet-examples-")), ".tracelet")
  beforeAll(() => {
    expect(existsSync(bundledAgent), "the agent is not bundled: npm run build").toBe(true)
    vi.stubEnv("PYTHONPATH", modulePath)
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await Effect.runPromise(stop(folder))
    rmSync(join(folder, ".."), { recursive: true, force: true })
  })

  const runs = async (example: string, tolerance: number, stored?: (logged: number) => number) => {
    const { lines, training } = readTranscript(example)
    const printed: Array<string> = []
    const outcome = await train(training, folder, (line) => printed.push(line))
    expectTranscript(printed, lines, tolerance)
    expect(outcome.stored).toBe(stored?.(outcome.logged) ?? outcome.logged)
    // How many points there are no machine decides.
    expect(lines.at(-1)).toBe(`run <id>: ${outcome.logged.toLocaleString("en")} points logged`)
  }
  const timeout = 120_000

  it("python-digits prints what it says, and all of it is in the store", { timeout }, () =>
    runs("python-digits", drift)
  )
  it("effect-wine prints what it says, and all of it is in the store", { timeout }, () => runs("effect-wine", drift))
  it(
    "effect-ranks prints what it says, and what was derived is in the store in the place of what it replaces",
    { timeout },
    () =>
      // Half of what was logged stays; of each step there is a mean over 4 ranks, and 2 windows of each rank's slopes have 3 points.
      runs("effect-ranks", drift, (logged) => logged / 2 + logged / 8 + 4 * 2 * 3)
  )
  it.skipIf(!hasTorch)("torch-tensorboard prints what it says, and all of it is in the store", { timeout }, () =>
    runs("torch-tensorboard", driftOfTorch)
  )
  it.skipIf(!hasTorch)("lightning prints what it says, and all of it is in the store", { timeout }, () =>
    runs("lightning", driftOfTorch)
  )
})

describe("the data", () => {
  it.each(["digits.csv", "wine.csv"])("%s is what its page says", (name) => {
    const bytes = readFileSync(join(root, "examples", "data", name))
    const page = readFileSync(join(root, "examples", "data", "README.md"), "utf8")
    expect(page).toContain(createHash("sha256").update(bytes).digest("hex"))
    const columns = new Set(
      bytes
        .toString("utf8")
        .trimEnd()
        .split("\n")
        .map((line) => line.split(",").length)
    )
    expect([...columns]).toEqual([name === "wine.csv" ? 14 : 65])
  })
})

describe("the end of a demo", () => {
  it("reads how much a training logged from its last line", () => {
    const run = "0123456789abcdef0123456789abcdef"
    expect(parseLastLine(`epoch 1\nrun ${run}: 12,345 points logged\n`)).toEqual({ run, logged: 12_345 })
    expect(parseLastLine("epoch 1\n")).toBeUndefined()
  })
  it("says whether the store has all of it", () => {
    expect(verdict("digits", { logged: 12_345, stored: 12_345 })).toEqual({
      isWhole: true,
      text: "✓ digits: 12,345 points logged, 12,345 in the store"
    })
    expect(verdict("digits", { logged: 12_345, stored: 12_344 }).isWhole).toBe(false)
  })
})
