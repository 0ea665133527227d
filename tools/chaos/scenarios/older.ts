/** An agent of an older version has a run in hand when a trainer of this one comes: it is asked to leave, and one of ours takes over. */
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import { bundledAgent } from "../../folder/agent.ts"
import * as Agents from "../agents.ts"
import type { Finding } from "../expected.ts"
import { judged, some, together } from "../judge.ts"
import type { Scenario, Turn } from "../scenario.ts"
import * as Writers from "../writers.ts"

/** A copy of the bundle that says it is of another version: where the composition root hands the version over. */
const olderAgent = ({ workFolder }: Turn): string => {
  const folder = join(workFolder, "older")
  if (existsSync(folder)) return join(folder, "start.cjs")
  cpSync(dirname(bundledAgent), folder, { recursive: true })
  const file = join(folder, "agent.cjs")
  const code = readFileSync(file, "utf8")
  const older = code.replace(/version:([`"'])0\.1\.0\1,idle/, "version:`0.0.9`,idle")
  if (older === code) throw new Error("the bundled agent does not say its version where it did")
  writeFileSync(file, older)
  return join(folder, "start.cjs")
}

const leaveMsMax = 8_000
const killMsMax = 300

export const scenario: Scenario = {
  name: "older",
  about: "an agent of an older version delivers when a trainer comes that starts one of ours",
  share: 4,
  dose: 2,
  msMax: 60_000,
  round: Effect.fnUntraced(function* (turn) {
    const older = yield* Agents.startAlone(turn, olderAgent(turn))
    const findings: Array<Finding> = []
    if (!(yield* Agents.listens(turn, older)))
      findings.push({ _tag: "hang", detail: "the older agent does not listen" })
    const options = { pause: 0.001, name: `first-${turn.number}` }
    const first = yield* Writers.trainer(turn, { ...options, env: { TRACELET_AGENT: "off" } })
    findings.push(...some(yield* first.first))
    yield* Effect.sleep(turn.random.next() * killMsMax)
    const second = yield* Writers.trainer(turn, { ...options, name: `second-${turn.number}` })
    findings.push(...some(yield* second.first))
    if (!(yield* Agents.comesTrue(older.hasEnded, leaveMsMax))) {
      findings.push({ _tag: "hang", detail: `the older agent has not left after ${leaveMsMax / 1000} s` })
    }
    yield* Effect.sleep(turn.random.next() * killMsMax)
    const counts = [yield* Writers.kill(first), yield* Writers.kill(second)]
    const isOurs = () => Agents.pidNow(turn.folder) !== undefined && Agents.pidNow(turn.folder) !== older.pid
    if (!(yield* Agents.comesTrue(isOurs, leaveMsMax))) {
      findings.push({ _tag: "amiss", detail: "the trainer started no agent of its own" })
    }
    const outcomes = yield* Effect.forEach(counts, (count) =>
      judged(turn, { id: count.run, writers: [count], statuses: ["killed"] }, "agent", "")
    )
    // The next round's older one is to be the folder's first.
    yield* Agents.stopListening(turn)
    return together(outcomes, "handed over while two trainers log", findings)
  })
}
