/**
 * This process as a session: its streams, its environment, its terminal.
 */
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"
import { make, type Session } from "./Session.ts"

export const fromProcess = (process: NodeJS.Process): Session["Service"] => {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // Whoever read us has enough (`tracelet export … | head`): that is no failure, and nobody is left to tell.
      if (error.code === "EPIPE") process.exit(0)
      throw error
    })
  }
  return make({
    cwd: process.cwd(),
    env: process.env,
    out: write(process.stdout),
    err: write(process.stderr),
    ask: process.stdin.isTTY && process.stderr.isTTY ? ask(process) : undefined,
    columns: process.stdout.isTTY ? columnsOf(process.stdout) : undefined,
    isErrTerminal: process.stderr.isTTY
  })
}

/** A terminal that does not say how wide it is. */
const columnsDefault = 80

const columnsOf = ({ columns }: NodeJS.WriteStream): number => (columns > 0 ? columns : columnsDefault)

/** On stderr: stdout may be a file, and the answer is none of it. Where the input ends there is no answer. */
const ask =
  ({ stdin, stderr }: NodeJS.Process) =>
  (question: string): Effect.Effect<string> =>
    Effect.callback((resume) => {
      const lines = createInterface({ input: stdin, output: stderr })
      let answer = ""
      lines.on("close", () => resume(Effect.succeed(answer)))
      // Without a listener of its own it would swallow Ctrl-C.
      lines.on("SIGINT", () => process.kill(process.pid, "SIGINT"))
      lines.question(question, (line) => {
        answer = line
        lines.close()
      })
      return Effect.sync(() => lines.close())
    })

const write =
  (stream: NodeJS.WriteStream) =>
  (text: string | Uint8Array): Effect.Effect<void> =>
    Effect.callback((resume) => {
      stream.write(text, () => resume(Effect.void))
    })
