/** One training of a demo: run with its output shown, then asked how much it logged and the store how much it has. */
import { spawn } from "node:child_process"
import { relative } from "node:path"
import * as Effect from "effect/Effect"
import { settled } from "../folder/agent.ts"
import * as Stored from "../folder/stored.ts"
import { root } from "../setup/packages.mjs"
import { StepError } from "../setup/steps.mjs"

export interface Training {
  readonly title: string
  readonly program: string
  readonly args: ReadonlyArray<string>
}

export interface Outcome {
  /** The run's id. */
  readonly run: string
  /** Points, as the training itself counts them. */
  readonly logged: number
  /** Points that the store has. */
  readonly stored: number
}

/** Longest wait until what was logged is in the store. */
const settleMsMax = 30_000

/** Every example ends with this line. */
export const parseLastLine = (output: string): Pick<Outcome, "run" | "logged"> | undefined => {
  const [, run = "", points = ""] = /^run ([0-9a-f]{32}): ([\d,]+) points logged$/m.exec(output) ?? []
  return run === "" ? undefined : { run, logged: Number(points.replaceAll(",", "")) }
}

/** As a person would type it, in the root of the clone. */
export const commandOf = ({ args, program }: Training): string =>
  [program === process.execPath ? "npx node" : relative(root, program), ...args].join(" ")

/** Settings of whoever starts a demo are none of its trainings'. */
export const environment = (folder: string) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TRACELET_"))),
  TRACELET_DIR: folder
})

/** Runs it in the root of the clone and resolves with what it printed. */
const watch = (training: Training, folder: string, show: (line: string) => void): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(training.program, training.args, {
      cwd: root,
      env: environment(folder),
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    let line = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text
        const lines = (line + text).split("\n")
        line = lines.pop() ?? ""
        for (const whole of lines) show(whole)
      })
    }
    const again = commandOf(training)
    child.on("error", (error) => reject(new StepError(`${training.program} did not start: ${error.message}`)))
    child.on("close", (code, signal) => {
      if (line !== "") show(line)
      if (code === 0) resolve(output)
      else reject(new StepError(`${again} ended with ${signal ?? `code ${code}`}`, { again }))
    })
  })

/** What the store has of a run once all of it is delivered. */
const countStored = (folder: string, run: string): Effect.Effect<number, unknown> =>
  settled(folder, run, { msMax: settleMsMax, mustExist: true }).pipe(
    Effect.andThen(Stored.series(run)),
    Effect.map(Stored.count),
    Effect.provide(Stored.layer(folder))
  )

export const train = async (training: Training, folder: string, show: (line: string) => void): Promise<Outcome> => {
  const outcome = parseLastLine(await watch(training, folder, show))
  if (outcome === undefined) {
    throw new StepError(`${commandOf(training)} did not say what it logged`, { again: commandOf(training) })
  }
  return { ...outcome, stored: await Effect.runPromise(countStored(folder, outcome.run)) }
}

/** `isWhole`: the store has as many points as the training says it logged. */
export const verdict = (name: string, { logged, stored }: Pick<Outcome, "logged" | "stored">) => ({
  isWhole: logged === stored,
  text: `${logged === stored ? "✓" : "✗"} ${name}: ${logged.toLocaleString("en")} points logged, ${stored.toLocaleString("en")} in the store`
})
