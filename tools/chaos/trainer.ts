/** One trainer: started, killed at its moment, and what it had acknowledged by then. */
import { spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { StepError } from "../setup/steps.mjs"
import { modulePath } from "../folder/agent.ts"
import type { Moment } from "./moments.ts"

export interface Trainer {
  readonly python: string
  /** The tracelet folder. */
  readonly folder: string
  /** Holds the counter. */
  readonly workFolder: string
}

export interface Death {
  /** Calls that had returned. */
  readonly acknowledged: number
  /** As far as the trainer came to say it. */
  readonly run: string | undefined
  /** It came to its end, or to its first point, too late. */
  readonly hang: string | undefined
}

/** Longest wait for the first point; a busy machine needs half a second. */
const firstPointMsMax = 15_000
const lookMs = 1

/** Layout of the counter: trainer.py. */
const counterBytes = 64

const readCounter = (file: string): Omit<Death, "hang"> => {
  const bytes = readFileSync(file)
  const id = bytes.toString("latin1", 8, 40)
  return { acknowledged: Number(bytes.readBigUInt64LE(0)), run: /^[0-9a-f]{32}$/.test(id) ? id : undefined }
}

/** Settings of whoever starts this are none of the trainer's. */
const environment = (folder: string, writer: Moment["writer"]) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TRACELET_"))),
  TRACELET_DIR: folder,
  TRACELET_WRITER: writer,
  PYTHONPATH: modulePath
})

/** Starts a trainer and kills it at its moment. Dies when the trainer ends by itself: it never should. */
export const runAndKill = (trainer: Trainer, round: number, { after, ms, writer }: Moment): Effect.Effect<Death> =>
  Effect.gen(function* () {
    const counter = join(trainer.workFolder, `counter-${round}`)
    writeFileSync(counter, Buffer.alloc(counterBytes))
    const child = spawn(trainer.python, [join(import.meta.dirname, "trainer.py"), counter, String(round)], {
      cwd: trainer.workFolder,
      env: environment(trainer.folder, writer),
      stdio: ["ignore", "ignore", "pipe"]
    })
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text))
    const ended = new Promise<NodeJS.Signals | null>((resolve, reject) => {
      child.on("error", reject)
      child.on("close", (_code, signal) => resolve(signal))
    })
    let hang: string | undefined
    if (after === "point") {
      const began = Date.now()
      while (readCounter(counter).acknowledged === 0 && child.exitCode === null && hang === undefined) {
        yield* Effect.sleep(lookMs)
        if (Date.now() - began > firstPointMsMax) hang = `no point within ${firstPointMsMax / 1000} s`
      }
    }
    yield* Effect.sleep(ms)
    child.kill("SIGKILL")
    const signal = yield* Effect.promise(() => ended)
    if (signal !== "SIGKILL") return yield* Effect.die(new StepError("The trainer ended by itself", { output: said }))
    return { ...readCounter(counter), hang }
  })
