/** A trainer that is process 1 of a namespace of its own, as in a container: its end takes everybody in there along, its agent too. */
import { spawnSync } from "node:child_process"
import * as Effect from "effect/Effect"
import * as Agents from "../agents.ts"
import { judged, some } from "../judge.ts"
import type { Scenario } from "../scenario.ts"
import * as Writers from "../writers.ts"

const unshare: readonly [string, ...ReadonlyArray<string>] = ["unshare", "-pf", "--mount-proc", "--kill-child"]
const killMsMax = 400

export const scenario: Scenario = {
  name: "namespace",
  about:
    "a trainer in a PID namespace of its own is killed; an agent outside, which was there or comes, delivers the rest",
  share: 6,
  dose: 2,
  msMax: 60_000,
  skip: () => {
    const [program, ...args] = unshare
    const { error, status, stderr } = spawnSync(program, [...args, "true"], { encoding: "utf8", timeout: 5_000 })
    return status === 0 ? undefined : `no PID namespaces here: ${error?.message ?? stderr.trim()}`
  },
  round: Effect.fnUntraced(function* (turn) {
    const isOutside = turn.random.chance(0.5)
    // Process ids of the other namespace say nothing here: what is killed is what was started here.
    const agent = isOutside ? yield* Agents.startAlone(turn) : undefined
    const isThere = agent === undefined || (yield* Agents.listens(turn, agent))
    const trainer = yield* Writers.trainer(turn, { name: `trainer-${turn.number}`, pause: 0.001 }, unshare)
    const late = yield* trainer.first
    yield* Effect.sleep(turn.random.next() * killMsMax)
    const count = yield* Writers.kill(trainer)
    const what = isOutside ? "beside an agent outside" : "its agent ended with it"
    const run = { id: count.run, writers: [count], statuses: ["killed"] }
    // Where none is outside this starts one: a second that is started here would wait for the first one's lock, and stay.
    const outcome = yield* judged(turn, run, "agent", what)
    yield* Agents.stopListening(turn)
    return {
      ...outcome,
      findings: [
        ...some(isThere ? undefined : { _tag: "hang", detail: "the agent outside does not listen" }),
        ...some(late),
        ...outcome.findings
      ]
    }
  })
}
