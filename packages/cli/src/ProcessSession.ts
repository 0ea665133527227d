/**
 * This process as a session: its streams, its environment, its terminal.
 */
import * as Effect from "effect/Effect"
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
    columns: process.stdout.isTTY ? columnsOf(process.stdout) : undefined,
    isErrTerminal: process.stderr.isTTY
  })
}

/** A terminal that does not say how wide it is. */
const columnsDefault = 80

const columnsOf = ({ columns }: NodeJS.WriteStream): number => (columns > 0 ? columns : columnsDefault)

const write =
  (stream: NodeJS.WriteStream) =>
  (text: string): Effect.Effect<void> =>
    Effect.callback((resume) => {
      stream.write(text, () => resume(Effect.void))
    })
