/** Agents that a scenario starts itself, to have them in hand. */
import { readFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import * as Effect from "effect/Effect"
import * as Agent from "../folder/agent.ts"
import * as Children from "./children.ts"
import type { Turn } from "./scenario.ts"

const lookMs = 10

/** `file`: another build than ours. */
export const start = (turn: Turn, file: string = Agent.bundledAgent, idleSeconds = 30) =>
  Children.start(process.execPath, [file, "--dir", turn.folder, "--idle", String(idleSeconds)], {
    cwd: turn.workFolder
  })

/** The same where the folder is to have no other agent: what an earlier round or its trainer has left there leaves first. */
export const startAlone = (turn: Turn, file?: string) =>
  Effect.andThen(
    Agent.stop(turn.folder),
    Effect.suspend(() => start(turn, file))
  )

/** The process id that the folder's agent says it has. */
export const pidNow = (folder: string): number | undefined => {
  try {
    const address: unknown = JSON.parse(readFileSync(AgentAddress.files(folder).address, "utf8"))
    return typeof address === "object" && address !== null && "pid" in address && typeof address.pid === "number"
      ? address.pid
      : undefined
  } catch {
    return undefined
  }
}

/** Waits for something that others do; false when it has not come to pass in time. */
export const comesTrue = (is: () => boolean, msMax: number): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    const until = Date.now() + msMax
    while (!is()) {
      if (Date.now() > until) return false
      await pause(lookMs)
    }
    return true
  })

/** Until this one is the folder's agent. */
export const listens = (turn: Turn, agent: Children.Child, msMax = 10_000) =>
  comesTrue(() => pidNow(turn.folder) === agent.pid, msMax)

/** The folder's agent, whoever started it, is killed. */
export const killListening = (turn: Turn) => Effect.andThen(Agent.kill(turn.folder), Effect.sleep(lookMs))

/** The folder's agent, whoever started it, leaves. */
export const stopListening = (turn: Turn) => Agent.stop(turn.folder)
