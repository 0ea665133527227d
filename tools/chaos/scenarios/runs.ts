/** Fifty trainers, each with a run of its own, share an agent; all of them are killed, and every other time the agent, too. */
import * as Effect from "effect/Effect"
import * as Agents from "../agents.ts"
import { judged, some, together } from "../judge.ts"
import type { Scenario } from "../scenario.ts"
import * as Writers from "../writers.ts"

const count = 50
const startMsMax = 30_000
const killMsMax = 500

export const scenario: Scenario = {
  name: "runs",
  about: "50 runs at once are killed, and sometimes their agent with them",
  share: 1,
  dose: 1,
  msMax: 120_000,
  round: Effect.fnUntraced(function* (turn) {
    // One that is there already: fifty trainers would start fifty, and forty-nine of them would leave.
    const agent = yield* Agents.startAlone(turn)
    const isThere = yield* Agents.listens(turn, agent)
    const runs = yield* Writers.many(turn, "runs", count, { name: `runs-${turn.number}`, pause: 0.02 })
    const all = () => runs.counts().every(({ acknowledged }) => acknowledged > 0)
    const isLate = !(yield* Agents.comesTrue(() => all() || runs.hasEnded(), startMsMax))
    yield* Effect.sleep(turn.random.next() * killMsMax)
    runs.sendAll("SIGKILL")
    const isAgentKilled = turn.random.chance(0.5)
    if (isAgentKilled) agent.send("SIGKILL")
    yield* runs.ended
    yield* Effect.sleep(50)
    const outcomes = yield* Effect.forEach(runs.counts(), (of) =>
      judged(turn, { id: of.run, writers: [of], statuses: ["killed"] }, "agent", "")
    )
    return together(outcomes, `${count} runs killed${isAgentKilled ? ", and their agent" : ""}`, [
      ...some(isThere ? undefined : { _tag: "hang", detail: "the agent does not listen" }),
      ...some(isLate ? { _tag: "hang", detail: "not every run has begun" } : undefined)
    ])
  })
}
