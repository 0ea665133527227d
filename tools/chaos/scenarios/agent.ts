/** The agent is killed, once or twice, while a trainer logs that then ends well: no agent is no reason not to train. */
import * as Effect from "effect/Effect"
import * as Agents from "../agents.ts"
import { judged, some } from "../judge.ts"
import type { Scenario } from "../scenario.ts"
import * as Writers from "../writers.ts"

const killMsMax = 150
const points = 20_000
const endMsMax = 20_000
const patientShare = 0.15

export const scenario: Scenario = {
  name: "agent",
  about:
    "the agent is killed while a trainer logs; the trainer ends well, and another agent, or sync, delivers the rest",
  share: 4,
  dose: 3,
  msMax: 60_000,
  round: Effect.fnUntraced(function* (turn) {
    const times = turn.random.one([1, 2])
    const name = `trainer-${turn.number}`
    // In CI it waits at its end until all is delivered, and else hands over.
    const isPatient = turn.random.chance(patientShare)
    const env = { CI: isPatient ? "true" : "" }
    const trainer = yield* Writers.trainer(turn, { name, points, pause: 0.001, env })
    const late = yield* trainer.first
    for (let i = 0; i < times; i++) {
      const agent = yield* Agents.start(turn)
      yield* Effect.sleep(turn.random.next() * killMsMax)
      // The trainer's, or ours when that one came first.
      const pid = Agents.pidNow(turn.folder)
      agent.send("SIGKILL")
      yield* agent.ended
      if (pid !== undefined && pid !== agent.pid) yield* Agents.killListening(turn)
    }
    const end = yield* Writers.goodEnd(trainer, endMsMax)
    const { run: id, ...count } = trainer.count()
    const by = turn.random.one(["agent", "sync"])
    const run = { id, writers: [{ ...count, begun: count.acknowledged }], statuses: ["finished"] }
    const outcome = yield* judged(
      turn,
      run,
      by,
      `the agent killed ${times} times${isPatient ? ", the trainer waits at its end" : ""}, then ${by}`
    )
    return { ...outcome, findings: [...some(late), ...end, ...outcome.findings] }
  })
}
