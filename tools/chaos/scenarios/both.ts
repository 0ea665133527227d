/** A trainer is killed, and its agent a moment later, in the middle of what it writes. */
import * as Effect from "effect/Effect"
import * as Agent from "../../folder/agent.ts"
import { judged } from "../judge.ts"
import type { Scenario } from "../scenario.ts"
import { killed } from "./trainer.ts"

const agentMsMax = 60

export const scenario: Scenario = {
  name: "both",
  about: "a trainer is killed, and its agent within 60 ms; another agent, or sync, delivers the rest",
  share: 10,
  dose: 4,
  msMax: 60_000,
  round: Effect.fnUntraced(function* (turn) {
    const { findings, run, what } = yield* killed(turn)
    const ms = turn.random.next() * agentMsMax
    yield* Effect.sleep(ms)
    yield* Agent.kill(turn.folder)
    const by = turn.random.one(["agent", "sync"])
    const outcome = yield* judged(turn, run, by, `${what}, the agent ${ms.toFixed(0)} ms later, then ${by}`)
    return { ...outcome, findings: [...findings, ...outcome.findings] }
  })
}
