/** Processes that a round starts: each in a group of its own, which is killed when the round ends, whatever became of it. */
import { spawn, type ChildProcess } from "node:child_process"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { modulePath } from "../folder/agent.ts"

interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it wrote to stdout and stderr. */
  readonly stdout: string
  readonly stderr: string
}

export interface Child {
  readonly pid: number
  /** To the process alone. */
  readonly send: (signal: NodeJS.Signals) => void
  /** To it and to all it has forked. */
  readonly sendAll: (signal: NodeJS.Signals) => void
  readonly hasEnded: () => boolean
  readonly ended: Effect.Effect<Ending>
}

export interface Options {
  readonly cwd: string
  readonly env?: { readonly [name: string]: string }
}

/** How long the output of a process that has ended is waited for. */
const pipesMsMax = 300

/** Settings of whoever starts this are none of the child's. */
const environment = (added: { readonly [name: string]: string }): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:TRACELET|CHAOS)_/.test(name))),
  PYTHONPATH: modulePath,
  ...added
})

const sendTo = (pid: number, signal: NodeJS.Signals) => {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

const watch = (child: ChildProcess): Child => {
  let stdout = ""
  let stderr = ""
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text))
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text))
  const ended = new Promise<Ending>((resolve) => {
    child.on("error", (error) => resolve({ code: null, signal: null, stdout, stderr: error.message }))
    // Whoever was forked may hold the pipes.
    child.on("exit", (code, signal) => setTimeout(() => resolve({ code, signal, stdout, stderr }), pipesMsMax))
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  const pid = child.pid ?? 0
  return {
    pid,
    send: (signal) => void child.kill(signal),
    sendAll: (signal) => pid > 0 && sendTo(-pid, signal),
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    ended: Effect.promise(() => ended)
  }
}

export const start = (
  program: string,
  args: ReadonlyArray<string>,
  options: Options
): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      watch(
        spawn(program, args, {
          cwd: options.cwd,
          env: environment(options.env ?? {}),
          detached: true,
          stdio: ["ignore", "pipe", "pipe"]
        })
      )
    ),
    // Who is stopped is killed all the same.
    (child) => Effect.sync(() => child.sendAll("SIGKILL"))
  )

/** A program of ours, from its source. */
export const startNode = (file: string, args: ReadonlyArray<string>, options: Options) =>
  start(process.execPath, ["--conditions=@tracelet/source", file, ...args], options)
