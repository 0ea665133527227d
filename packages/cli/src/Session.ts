/**
 * Who typed the command, and where: working directory, environment, the two streams and what they can show. Commands see the process
 * through this and nothing else, so a test is a session of its own.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Paint from "./Paint.ts"

export interface Environment {
  readonly [key: string]: string | undefined
}

export class Session extends Context.Service<
  Session,
  Streams & {
    /** False: ASCII only. */
    readonly unicode: boolean
    readonly paint: Paint.Paint
  }
>()("@tracelet/cli/Session") {}

/** What is known of the streams before the environment is asked. */
export interface Streams {
  readonly cwd: string
  readonly env: Environment
  /** Text or bytes as they are, on stdout. Returns when the stream has taken them. */
  readonly out: (text: string | Uint8Array) => Effect.Effect<void>
  /** Text on stderr. */
  readonly err: (text: string) => Effect.Effect<void>
  /** Asks on the terminal and answers with what was typed; `undefined` where nobody can be asked. */
  readonly ask: ((question: string) => Effect.Effect<string>) | undefined
  /** Columns of a terminal on stdout; `undefined` where it is something else. */
  readonly columns: number | undefined
  readonly isErrTerminal: boolean
}

/** `NO_COLOR` and `TERM=dumb` take the colour, `NO_UNICODE` and `TERM=dumb` all but ASCII; `FORCE_COLOR` brings colour to a pipe. */
export const make = (streams: Streams): Session["Service"] => {
  const { env, columns } = streams
  const isSet = (name: string) => env[name] !== undefined && env[name] !== ""
  const isDumb = env["TERM"] === "dumb"
  const isForced = isSet("FORCE_COLOR") && env["FORCE_COLOR"] !== "0"
  return {
    ...streams,
    unicode: !isDumb && !isSet("NO_UNICODE"),
    paint: Paint.make(!isDumb && !isSet("NO_COLOR") && (columns !== undefined || isForced))
  }
}

/** Marks beside a line: text and colour say the same. */
export const marks = ({ unicode, paint }: Session["Service"]) => ({
  good: paint.green(unicode ? "✓" : "ok"),
  warning: paint.yellow("!"),
  bad: paint.red(unicode ? "✗" : "x"),
  dot: unicode ? " · " : " | ",
  ellipsis: unicode ? "…" : "..."
})
