/** A trainer, its agent or both are stopped (SIGSTOP) for longer than anybody polls, and go on: stopped is not dead. */
import { RunId } from "@tracelet/core/Run"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import * as Effect from "effect/Effect"
import * as Agents from "../agents.ts"
import type { Finding } from "../expected.ts"
import { judged, some, together } from "../judge.ts"
import type { Scenario } from "../scenario.ts"
import * as Writers from "../writers.ts"

/** Lanes poll up to once a second, and look whether a writer lives twice a second. */
const stopMsMin = 1_300
const stopMsMax = 2_300
const killMsMax = 300
/** How long a trainer may take that starts and ends while the agent is stopped. */
const besideMsMax = 15_000
const pointsBeside = 2_000

export const scenario: Scenario = {
  name: "stopped",
  about: "trainer, agent or both are stopped for 1.3 to 2.3 s and go on; then the trainer is killed",
  share: 2,
  dose: 2,
  msMax: 60_000,
  round: Effect.fnUntraced(function* (turn) {
    const who = turn.random.one(["trainer", "agent", "both"])
    const ms = stopMsMin + turn.random.next() * (stopMsMax - stopMsMin)
    const findings: Array<Finding> = []
    const agent = yield* Agents.startAlone(turn)
    if (!(yield* Agents.listens(turn, agent))) findings.push({ _tag: "hang", detail: "the agent does not listen" })
    const trainer = yield* Writers.trainer(turn, { name: `trainer-${turn.number}`, pause: 0.001 })
    findings.push(...some(yield* trainer.first))
    yield* Effect.sleep(turn.random.next() * killMsMax)
    const { acknowledged: before, run } = trainer.count()

    if (who !== "agent") trainer.send("SIGSTOP")
    if (who !== "trainer") agent.send("SIGSTOP")
    yield* Effect.sleep(ms)
    const { acknowledged: after } = trainer.count()
    if (who === "agent" && after <= before) findings.push({ _tag: "hang", detail: "the trainer waits for its agent" })
    if (who === "trainer" && run !== undefined) {
      const view = yield* Effect.flatMap(AgentClient.find(turn.folder), (client) => client.run(RunId.make(run)))
      if (view?.status !== "running")
        findings.push({ _tag: "wrong status", detail: `stopped: ${JSON.stringify(view)}` })
    }
    // Another trainer comes and goes while nobody answers.
    const name = `beside-${turn.number}`
    const beside = who === "agent" ? yield* Writers.trainer(turn, { name, points: pointsBeside }) : undefined
    if (beside !== undefined) findings.push(...(yield* Writers.goodEnd(beside, besideMsMax)))
    trainer.send("SIGCONT")
    agent.send("SIGCONT")
    yield* Effect.sleep(turn.random.next() * killMsMax)

    const counts = [{ ...(yield* Writers.kill(trainer)), status: "killed" }]
    if (beside !== undefined) {
      const count = beside.count()
      if (count.acknowledged < pointsBeside)
        findings.push({ _tag: "amiss", detail: `${count.acknowledged} points beside` })
      counts.push({ ...count, begun: count.acknowledged, status: "finished" })
    }
    const outcomes = yield* Effect.forEach(counts, (count) =>
      judged(turn, { id: count.run, writers: [count], statuses: [count.status] }, "agent", "")
    )
    agent.send("SIGTERM")
    yield* agent.ended
    return together(outcomes, `${who} stopped for ${ms.toFixed(0)} ms`, findings)
  })
}
