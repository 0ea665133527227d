/** Two or five agents are started at once: one stays, the others leave at once; and again after that one is killed. */
import * as Effect from "effect/Effect"
import * as Agents from "../agents.ts"
import type { Finding } from "../expected.ts"
import { judged, some } from "../judge.ts"
import type { Scenario, Turn } from "../scenario.ts"
import * as Writers from "../writers.ts"

const leaveMsMax = 10_000
const killMsMax = 250

/** The one that stays, and what the others did. */
const oneOf = Effect.fnUntraced(function* (turn: Turn, count: number) {
  const agents = yield* Effect.forEach(Array.from({ length: count }), () => Agents.start(turn))
  const here = () => agents.filter((agent) => !agent.hasEnded())
  const isOne = yield* Agents.comesTrue(() => here().length <= 1, leaveMsMax)
  const [stays] = here()
  const findings: Array<Finding> = []
  if (!isOne) findings.push({ _tag: "hang", detail: `${here().length} of ${count} agents stay` })
  for (const agent of agents) {
    if (!agent.hasEnded()) continue
    const { code, signal, stderr } = yield* agent.ended
    if (code !== 0) findings.push({ _tag: "amiss", detail: `an agent left with ${signal ?? code}: ${stderr}` })
  }
  if (stays === undefined) findings.push({ _tag: "amiss", detail: `none of ${count} agents stays` })
  else if (!(yield* Agents.listens(turn, stays))) {
    findings.push({
      _tag: "amiss",
      detail: `agent ${stays.pid} stays, and ${Agents.pidNow(turn.folder)} says it is there`
    })
  }
  return { stays, findings }
})

export const scenario: Scenario = {
  name: "agents",
  about: "two or five agents are started at once, the one that stays is killed, and as many are started again",
  share: 4,
  dose: 2,
  msMax: 60_000,
  round: Effect.fnUntraced(function* (turn) {
    const count = turn.random.one([2, 2, 5])
    const name = `trainer-${turn.number}`
    const trainer = yield* Writers.trainer(turn, { name, pause: 0.001, env: { TRACELET_AGENT: "off" } })
    const late = yield* trainer.first
    yield* Agents.stopListening(turn)
    const first = yield* oneOf(turn, count)
    yield* Effect.sleep(turn.random.next() * killMsMax)
    first.stays?.send("SIGKILL")
    if (first.stays !== undefined) yield* first.stays.ended
    const logged = yield* Writers.kill(trainer)
    const second = yield* oneOf(turn, count)
    const run = { id: logged.run, writers: [logged], statuses: ["killed"] }
    const outcome = yield* judged(turn, run, "agent", `${count} agents at once, twice`)
    second.stays?.send("SIGTERM")
    if (second.stays !== undefined) yield* second.stays.ended
    return { ...outcome, findings: [...some(late), ...first.findings, ...second.findings, ...outcome.findings] }
  })
}
