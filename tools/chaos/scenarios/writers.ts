/** Fifty children are forked from one trainer and log into its run, each as a writer of its own; all of them are killed. */
import * as Effect from "effect/Effect"
import * as Agents from "../agents.ts"
import { judged, some } from "../judge.ts"
import type { Scenario } from "../scenario.ts"
import * as Writers from "../writers.ts"

const count = 50
const startMsMax = 20_000
const killMsMax = 500

export const scenario: Scenario = {
  name: "writers",
  about: "50 writers of one run are killed at once",
  share: 2,
  dose: 1,
  msMax: 90_000,
  round: Effect.fnUntraced(function* (turn) {
    const writers = yield* Writers.many(turn, "writers", count, { name: `writers-${turn.number}`, pause: 0.02 })
    const all = () => writers.counts().every(({ acknowledged }) => acknowledged > 0)
    const isLate = !(yield* Agents.comesTrue(() => all() || writers.hasEnded(), startMsMax))
    yield* Effect.sleep(turn.random.next() * killMsMax)
    writers.sendAll("SIGKILL")
    yield* writers.ended
    // The parent is gone; its children have the same signal.
    yield* Effect.sleep(50)
    const counts = writers.counts()
    const [id] = counts.flatMap(({ run }) => run ?? [])
    const logged = counts.map((of, worker) => ({ ...of, worker }))
    const outcome = yield* judged(
      turn,
      { id, writers: logged, statuses: ["killed"] },
      "agent",
      `${count} writers killed`
    )
    return {
      ...outcome,
      findings: [
        ...some(isLate ? { _tag: "hang", detail: "not every writer has begun" } : undefined),
        ...outcome.findings
      ]
    }
  })
}
