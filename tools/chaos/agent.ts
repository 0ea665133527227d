/** The agent of the chaos folder: there when it is needed, killed when it is that one's turn, gone at the end. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import type { RunView } from "@tracelet/bridge-python/AgentApi"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import { root } from "../setup/packages.mjs"

export const bundledAgent = join(
  root,
  ...["packages", "bridge-python", "python", "src", "tracelet", "_agent", "start.cjs"]
)

const startMsMax = 10_000
const lookMs = 10

const listening = (folder: string) => Effect.tap(AgentClient.find(folder), ({ status }) => status)

/** The one that trainers have started, or one more of the same. */
const agent = (folder: string) =>
  listening(folder).pipe(
    Effect.catch(() => {
      // Where another one is just starting, this one leaves at once.
      spawn(process.execPath, [bundledAgent, "--dir", folder], { detached: true, stdio: "ignore" }).unref()
      return listening(folder).pipe(Effect.retry({ schedule: everyLook, times: startMsMax / lookMs }))
    })
  )

/**
 * What the agent says of a run when all of it is delivered and it has ended, or at the deadline. `undefined`: it knows
 * no such run. Fails when no agent can be started.
 */
export const settled = (folder: string, run: string, msMax: number): Effect.Effect<RunView | undefined, AgentGone> =>
  Effect.gen(function* () {
    const deadline = Date.now() + msMax
    let view: RunView | undefined
    do {
      view = yield* Effect.flatMap(agent(folder), ({ announce }) => announce(RunId.make(run)))
      if (view !== undefined && view.drained && view.status !== "running") break
      yield* Effect.sleep(lookMs)
    } while (Date.now() < deadline)
    return view
  })

export type AgentGone = AgentClient.AgentFailure

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
