/** A trainer is killed at a random moment, mostly while it logs and often while it starts. */
import * as Effect from "effect/Effect"
import { judged, runsOf, some } from "../judge.ts"
import { describe, moment } from "../moments.ts"
import type { Scenario, Turn } from "../scenario.ts"
import * as Writers from "../writers.ts"

/** Starts a trainer and kills it at its moment. */
export const killed = Effect.fnUntraced(function* (turn: Turn, pause = 0) {
  const when = moment(turn.random)
  const before = new Set(runsOf(turn.folder))
  const name = `trainer-${turn.number}`
  const trainer = yield* Writers.trainer(turn, { name, pause, env: { TRACELET_WRITER: when.writer } })
  const late = when.after === "point" ? yield* trainer.first : undefined
  yield* Effect.sleep(when.ms)
  const count = yield* Writers.kill(trainer)
  const [id = count.run] = runsOf(turn.folder).filter((run) => !before.has(run))
  return { run: { id, writers: [count], statuses: ["killed"] }, what: `killed ${describe(when)}`, findings: some(late) }
})

export const scenario: Scenario = {
  name: "trainer",
  about: "a trainer is killed; its agent delivers the rest",
  share: 55,
  dose: 50,
  msMax: 45_000,
  round: Effect.fnUntraced(function* (turn) {
    const { findings, run, what } = yield* killed(turn)
    const outcome = yield* judged(turn, run, "agent", what)
    return { ...outcome, findings: [...findings, ...outcome.findings] }
  })
}
