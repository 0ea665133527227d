/** An Effect app that logs and delivers is killed: what a flush or a durable log has acknowledged is delivered by others. */
import * as Effect from "effect/Effect"
import { judged, runsOf, some } from "../judge.ts"
import type { Scenario } from "../scenario.ts"
import * as Writers from "../writers.ts"

const startMsMax = 600
const startShare = 0.2
const pointMsMax = 300

export const scenario: Scenario = {
  name: "app",
  about: "an Effect app is killed; an agent, or sync, delivers what its flush and durable acknowledged",
  share: 8,
  dose: 4,
  msMax: 60_000,
  round: Effect.fnUntraced(function* (turn) {
    const inStart = turn.random.chance(startShare)
    const ms = turn.random.next() * (inStart ? startMsMax : pointMsMax)
    const by = turn.random.one(["agent", "sync"])
    const before = new Set(runsOf(turn.folder))
    const app = yield* Writers.app(turn, { name: `app-${turn.number}` })
    const late = inStart ? undefined : yield* app.first
    yield* Effect.sleep(ms)
    const count = yield* Writers.kill(app)
    const [id = count.run] = runsOf(turn.folder).filter((run) => !before.has(run))
    // Without a run-started record there is nothing to deliver: `sync` does not know such a run.
    const asked = count.acknowledged > 0 ? by : "agent"
    const when = `killed ${ms.toFixed(0)} ms after its ${inStart ? "start" : "first flush"}, then ${asked}`
    const outcome = yield* judged(turn, { id, writers: [count], statuses: ["killed"] }, asked, when)
    return { ...outcome, findings: [...some(late), ...outcome.findings] }
  })
}
