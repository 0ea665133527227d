/**
 * An Effect app, an agent with a trainer's run and `tracelet sync`, twice at once, are at work in one folder; app and trainer are killed,
 * and some of the syncs are, too.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Agents from "../agents.ts"
import type { Finding } from "../expected.ts"
import * as Judge from "../judge.ts"
import type { Scenario, Turn } from "../scenario.ts"
import * as Writers from "../writers.ts"

const killMsMax = 900
const syncMsMax = 400
const syncKillShare = 0.4

/** `sync` of everything, again and again: exit code 3 says that something is left, as it is while others log. */
const syncs = (turn: Turn, isOver: () => boolean) =>
  Effect.gen(function* () {
    const findings: Array<Finding> = []
    let times = 0
    while (!isOver()) {
      const isKilled = turn.random.chance(syncKillShare)
      const ms = turn.random.next() * syncMsMax
      const { code, signal, stderr, stdout } = yield* Effect.scoped(
        Effect.gen(function* () {
          const sync = yield* Judge.sync(turn, { timeoutMs: 50 + turn.random.below(syncMsMax) })
          if (isKilled)
            yield* Effect.andThen(
              Effect.sleep(ms),
              Effect.sync(() => sync.send("SIGKILL"))
            )
          return yield* sync.ended
        })
      )
      times++
      if (code !== 0 && code !== 3 && signal !== "SIGKILL")
        findings.push({ _tag: "amiss", detail: `sync ended with ${code}: ${stdout}${stderr}` })
    }
    return { findings, times }
  })

export const scenario: Scenario = {
  name: "together",
  about: "an Effect app, a trainer, an agent and two syncs work in one folder; app and trainer are killed",
  share: 3,
  dose: 2,
  msMax: 90_000,
  round: Effect.fnUntraced(function* (turn) {
    yield* Agents.start(turn)
    let isOver = false
    const app = yield* Writers.app(turn, { name: `app-${turn.number}` })
    const trainer = yield* Writers.trainer(turn, { name: `trainer-${turn.number}`, pause: 0.002 })
    const late = [...Judge.some(yield* trainer.first), ...Judge.some(yield* app.first)]
    const beside = yield* Effect.forkChild(
      Effect.all([syncs(turn, () => isOver), syncs(turn, () => isOver)], { concurrency: 2 })
    )
    yield* Effect.sleep(turn.random.next() * killMsMax)
    const ofApp = yield* Writers.kill(app)
    const ofTrainer = yield* Writers.kill(trainer)
    isOver = true
    const outcomes = [
      yield* Judge.judged(turn, { id: ofApp.run, writers: [ofApp], statuses: ["killed"] }, "agent", ""),
      yield* Judge.judged(turn, { id: ofTrainer.run, writers: [ofTrainer], statuses: ["killed"] }, "sync", "")
    ]
    const results = yield* Fiber.join(beside)
    const times = results.reduce((sum, result) => sum + result.times, 0)
    const findings = [...late, ...results.flatMap((result) => result.findings)]
    return Judge.together(outcomes, `${times} syncs beside an agent`, findings)
  })
}
