/**
 * The folder's agent, as commands ask for it: none is an ordinary answer here, and one that does not answer is a note and no failure. Its
 * client is loaded when there is an agent to talk to.
 */
import * as Effect from "effect/Effect"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import type { AgentStatus } from "@tracelet/bridge-python/AgentApi"
import type { AgentClient } from "@tracelet/bridge-python/AgentClient"
import * as Format from "./Format.ts"
import type * as Output from "./Output.ts"

export interface Running {
  readonly client: AgentClient
  readonly status: AgentStatus
}

export type Found =
  | { readonly state: "running"; readonly agent: Running }
  | { readonly state: "none" }
  /** Its file is there and somebody listens, but what comes back is no answer. */
  | { readonly state: "unwell"; readonly reason: string }

export const find = (dir: string): Effect.Effect<Found> =>
  Effect.gen(function* (): Effect.fn.Return<Found> {
    if ((yield* AgentAddress.read(dir)) === undefined) return { state: "none" }
    const { find: findClient } = yield* Effect.promise(() => import("@tracelet/bridge-python/AgentClient"))
    return yield* findClient(dir).pipe(
      Effect.flatMap((client) => Effect.map(client.status, (status) => ({ client, status }))),
      Effect.map((agent): Found => ({ state: "running", agent })),
      Effect.catchTags({
        AgentNotRunning: () => Effect.succeed<Found>({ state: "none" }),
        AgentError: ({ message }) => Effect.succeed<Found>({ state: "unwell", reason: message })
      })
    )
  })

export const toOutput = (found: Found): Output.Agent | null =>
  found.state === "running" ? describe(found.agent.status) : null

export const describe = ({ pid, tracelet, startedAt, rssBytes, runs }: AgentStatus): Output.Agent => ({
  pid,
  version: tracelet,
  startedAt: Format.iso(startedAt),
  rssBytes,
  runs: runs.map(({ id }) => id)
})

/** A sentence on the agent, without its end. */
export const sentence = (found: Found, now: number): string => {
  switch (found.state) {
    case "none":
      return "no agent is running; a Python run starts one when it needs it"
    case "unwell":
      return `an agent is there and does not answer: ${found.reason}`
    case "running": {
      const { pid, tracelet, startedAt, rssBytes, runs } = found.agent.status
      const work = runs.length === 0 ? "nothing to deliver" : `${Format.plural(runs.length, "run")} in hand`
      return `agent ${tracelet} is running (pid ${pid}, for ${Format.duration(now - startedAt)}, ${Format.bytes(rssBytes)}), ${work}`
    }
  }
}
