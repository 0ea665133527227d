/** The agent of a folder: there when it is needed, killed when it is that one's turn, gone at the end. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import type { RunView } from "@tracelet/bridge-python/AgentApi"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import { RunId } from "@tracelet/core/Run"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { root } from "../setup/packages.mjs"

/** Where the module `tracelet` lies. */
export const modulePath = join(root, "packages", "bridge-python", "python", "src")
export const bundledAgent = join(modulePath, "tracelet", "_agent", "start.cjs")

const startMsMax = 10_000
const lookMs = 10

const listening = (folder: string) => Effect.tap(AgentClient.find(folder), ({ status }) => status)

/** The one that trainers have started, or one more of the same. */
const agent = (folder: string) =>
  Effect.catch(listening(folder), () => {
    // Where another one is just starting, this one leaves at once.
    spawn(process.execPath, [bundledAgent, "--dir", folder], { detached: true, stdio: "ignore" }).unref()
    return Effect.retry(listening(folder), {
      schedule: Schedule.spaced(Duration.millis(lookMs)),
      times: startMsMax / lookMs
    })
  })

/** What the agent says of a run now; `undefined`: there is no such run, or nobody answers. */
const look = (folder: string, run: string): Effect.Effect<RunView | undefined> =>
  Effect.catch(
    Effect.flatMap(agent(folder), ({ announce }) => announce(RunId.make(run))),
    () => Effect.succeed(undefined)
  )

/**
 * What the agent says of a run when all of it is delivered and it has ended, or at the deadline. A run that need not
 * exist is looked for once.
 */
export const settled = (
  folder: string,
  run: string,
  options: { readonly msMax: number; readonly mustExist: boolean }
): Effect.Effect<RunView | undefined> =>
  Effect.gen(function* () {
    const deadline = Date.now() + options.msMax
    for (;;) {
      const view = yield* look(folder, run)
      if (view === undefined ? !options.mustExist : view.drained && view.status !== "running") return view
      if (Date.now() >= deadline) return view
      yield* Effect.sleep(lookMs)
    }
  })

/** SIGKILL for this folder's agent, if one listens; true if one was there. */
export const kill = (folder: string): Effect.Effect<boolean> =>
  listening(folder).pipe(
    Effect.map(({ address }) => process.kill(address.pid, "SIGKILL")),
    Effect.catch(() => Effect.succeed(false))
  )

/** Asks it to leave, and waits until nobody listens. */
export const stop = (folder: string): Effect.Effect<void> =>
  Effect.ignore(Effect.flatMap(listening(folder), (client) => client.stop)).pipe(
    Effect.andThen(Effect.exit(listening(folder))),
    Effect.repeat({ until: (exit) => exit._tag === "Failure", times: startMsMax / lookMs }),
    Effect.asVoid
  )
