/**
 * Starts the folder's agent, and has it leave. It is started as a trainer does it (docs/spec/agent.md A2), in a session of its own, so that it
 * outlives the command.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import type { AgentClient } from "@tracelet/bridge-python/AgentClient"
import { Journal } from "@tracelet/core/Journal"
import * as Agents from "./Agents.ts"
import { CommandError } from "./Failure.ts"
import type { Environment } from "./Session.ts"

/** Longest wait until it answers; it needs about 0.1 s. */
const startMax = Duration.seconds(10)

/** Longest wait until it is gone: it leaves within 5 s (A8). */
const leaveMax = Duration.seconds(7)

const pollEvery = Duration.millis(50)

/** Sources run as they are; what is built lies beside this file's bundle. */
const program = (): ReadonlyArray<string> =>
  import.meta.filename.endsWith(".ts")
    ? [
        "--conditions=@tracelet/source",
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "agentMain.ts")
      ]
    : [join(import.meta.dirname, "..", "dist", "start.cjs")]

export interface StartOptions {
  readonly dir: string
  readonly idle: Duration.Duration
  readonly env: Environment
}

/** Returns when an agent answers, this one or another that was quicker. */
export const start = ({ dir, idle, env }: StartOptions): Effect.Effect<Agents.Running, CommandError> =>
  Effect.gen(function* () {
    if (!existsSync(dir)) {
      return yield* new CommandError({
        tag: "FolderMissing",
        message: `There is no folder ${dir} yet.`,
        hint: "The first run makes it, and starts an agent itself; --dir or TRACELET_DIR chooses another folder."
      })
    }
    const { log } = AgentAddress.files(dir)
    const failure = yield* launch([...program(), "--dir", dir, "--idle", String(Duration.toSeconds(idle))], env)
    const answer = Effect.gen(function* () {
      const found = yield* Agents.find(dir)
      if (found.state === "running") return found.agent
      const reason = failure()
      return reason === undefined ? undefined : yield* notStarted(reason, log)
    }).pipe(
      Effect.repeat({ until: (agent) => agent !== undefined, schedule: Schedule.spaced(pollEvery) }),
      Effect.timeoutOption(startMax)
    )
    const agent = yield* answer
    if (agent._tag === "Some" && agent.value !== undefined) return agent.value
    return yield* notStarted(`it does not answer within ${Duration.format(startMax)}`, log)
  })

const notStarted = (reason: string, log: string): CommandError =>
  new CommandError({
    tag: "AgentNotStarted",
    message: `The agent could not be started: ${reason}.`,
    hint: `${existsSync(log) ? `Its log is ${log}. ` : ""}\`tracelet sync\` delivers without one.`
  })

/** What went wrong, once it has. Leaving with code 0 is none: another agent was there first. */
const launch = (args: ReadonlyArray<string>, env: Environment): Effect.Effect<() => string | undefined> =>
  Effect.sync(() => {
    let failure: string | undefined
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: "ignore",
      // The columns of a batch are mapped, and so given back, however long the batch is (bench/agent).
      env: { MALLOC_MMAP_THRESHOLD_: "32768", ...env }
    })
    child.on("error", ({ message }) => (failure = message))
    child.on("exit", (code, signal) => {
      if (code !== 0) failure = `its process ended with ${code === null ? signal : `code ${code}`}`
    })
    child.unref()
    return () => failure
  })

/** Asks it to leave, and returns when it has: nobody holds its lock. */
export const stop = (dir: string, client: AgentClient): Effect.Effect<void, CommandError, Journal> =>
  Effect.gen(function* () {
    const { storage } = yield* Journal
    const { pid } = client.address
    yield* client.stop.pipe(
      Effect.catchTags({
        AgentNotRunning: () => Effect.void,
        AgentError: ({ message }) =>
          Effect.fail(new CommandError({ tag: "AgentUnwell", message, hint: `Its process is ${pid}: end it by that.` }))
      })
    )
    const isGone = Effect.gen(function* () {
      if ((yield* Agents.find(dir)).state !== "none") return false
      const lock = yield* Effect.orElseSucceed(storage.probe(AgentAddress.files(dir).lock), () => "unknown" as const)
      return lock !== "held"
    })
    const gone = yield* isGone.pipe(
      Effect.repeat({ until: (answer) => answer, schedule: Schedule.spaced(pollEvery) }),
      Effect.timeoutOption(leaveMax)
    )
    if (gone._tag === "Some") return
    return yield* new CommandError({
      tag: "AgentStays",
      message: `The agent (pid ${pid}) was asked to leave, and is still there after ${Duration.format(leaveMax)}.`,
      hint: `\`kill ${pid}\` ends it; what it has not delivered is kept.`
    })
  })
