/**
 * The agent's entry: `node start.cjs --dir FOLDER [--idle SECONDS]`. A composition root of its own, without the command line's parser,
 * since it has to listen a moment after a trainer has started it. Exit code 0 when it left, or another one is there; 1 when it cannot
 * work here, with the reason on stderr; 2 for wrong arguments.
 */
import * as Agent from "@tracelet/bridge-python/Agent"
import * as Journal from "@tracelet/core/Journal"
import type { Policy } from "@tracelet/core/Retention"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Distribution from "./Distribution.ts"
import * as Settings from "./Settings.ts"
import { version } from "./Version.ts"

/** After a signal it is gone within 5 s (A8), whatever a backend does meanwhile. */
const leaveMsMax = 4_500

const usage = "usage: agent --dir FOLDER [--idle SECONDS]"

interface Arguments {
  readonly dir: string
  readonly idle: Duration.Duration
}

const parse = (args: ReadonlyArray<string>): Arguments | string => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { dir: { type: "string" }, idle: { type: "string" } }
    })
    if (values.dir === undefined || values.dir === "") return "--dir is missing"
    const seconds = values.idle === undefined ? undefined : Number(values.idle)
    if (values.idle === "" || (seconds !== undefined && !(seconds >= 0 && seconds <= 1e9))) {
      return "--idle must be a number of seconds"
    }
    return { dir: resolve(values.dir), idle: seconds === undefined ? Agent.idleDefault : Duration.seconds(seconds) }
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

const program = ({ dir, idle }: Arguments, retention: Policy) =>
  Effect.scoped(
    Effect.flatMap(Distribution.make(), ({ targetsOf }) =>
      Agent.run({
        targetsOf,
        processorsOf: Distribution.processorsOf,
        version,
        idle,
        archive: Settings.isArchiving(process.env),
        retention
      })
    )
  ).pipe(Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))

const main = (): void => {
  const parsed = parse(process.argv.slice(2))
  if (typeof parsed === "string") {
    console.error(`${parsed}\n${usage}`)
    process.exitCode = 2
    return
  }
  // Everything it makes is its user's alone, whatever the trainer's umask is.
  process.umask(0o077)
  const retention = Settings.retention(process.env)
  // Better to keep all than to remove what nobody meant, or to deliver nothing.
  if (typeof retention === "string") console.error(`${retention}. Nothing is removed.`)
  const odd = Settings.archiveProblem(process.env)
  if (odd !== undefined) console.error(`${odd}.`)
  const fiber = Effect.runFork(program(parsed, typeof retention === "string" ? {} : retention))
  const leave = () => {
    fiber.interruptUnsafe()
    setTimeout(() => process.exit(1), leaveMsMax)
  }
  process.once("SIGTERM", leave)
  process.once("SIGINT", leave)
  fiber.addObserver((exit) => {
    const failure = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? Cause.squash(exit.cause) : undefined
    if (failure !== undefined) console.error(failure instanceof Error ? failure.message : failure)
    process.exit(failure === undefined ? 0 : 1)
  })
}

main()
