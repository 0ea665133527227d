/**
 * Who delivers a run is killed at each step of it in turn: at every call of the lock, the journal, the cursor, the dead letter and the
 * backend. Another process then delivers the rest. No moment is left to chance: with as many rounds as there are steps, each is met.
 */
import { join } from "node:path"
import * as Journal from "@tracelet/core/Journal"
import { runStarted } from "@tracelet/core/RunEvent"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stored from "../../folder/stored.ts"
import * as Children from "../children.ts"
import { deadLetters, deliverAll, served, type Kind } from "../delivering.ts"
import { call, compare, type Finding } from "../expected.ts"
import type { Scenario, Turn } from "../scenario.ts"

/** Calls that the run logs: seven batches. */
const points = 40

/** Steps of each kind, found by a delivery that nothing kills. */
const totals = new Map<Kind, number>()

/** A run that is over. */
const write = Effect.fnUntraced(function* () {
  const journal = yield* Journal.Journal
  const run = yield* journal.newRunId
  yield* Effect.scoped(
    Effect.gen(function* () {
      const writer = yield* journal.write({ run, role: "primary" })
      const about = { project: "chaos", name: `steps-${run.slice(0, 8)}`, tags: { kind: "steps" } }
      writer.event(runStarted(run, { time: 1, ...about }))
      writer.event({ _tag: "Params", time: 1, params: { lr: 0.1 } })
      for (let i = 0; i < points; i++) {
        const { context, name, step, value } = call(i)
        writer.point(name, value, step, context, i)
      }
      writer.event({ _tag: "RunFinished", time: points, status: "finished" })
      yield* writer.flush
    })
  )
  return run
})

const program = join(import.meta.dirname, "..", "programs", "deliver.ts")

const deliverAndDie = (turn: Turn, run: string, kind: Kind, step: number) =>
  Effect.flatMap(
    Children.startNode(program, [turn.folder, run, kind, String(step)], { cwd: turn.workFolder }),
    ({ ended }) => ended
  )

const totalOf = Effect.fnUntraced(function* (turn: Turn, kind: Kind) {
  const known = totals.get(kind)
  if (known !== undefined) return known
  const { code, stderr, stdout } = yield* deliverAndDie(turn, yield* write(), kind, 1e9)
  if (code !== 0) return yield* Effect.die(new Error(`a delivery that nothing kills ended with ${code}: ${stderr}`))
  const total = Number(stdout)
  totals.set(kind, total)
  return total
})

/** A whole number without a divisor in common with any total below it: so `step * stride` meets each step once. */
const stride = 7_919

export const scenario: Scenario = {
  name: "steps",
  about:
    "who delivers is killed at the nth call to the file system or to SQLite, for every n; another delivers the rest",
  share: 12,
  dose: 10,
  msMax: 30_000,
  round: (turn) =>
    Effect.gen(function* () {
      const kind: Kind = turn.number % 2 === 0 ? "store" : "service"
      const total = yield* totalOf(turn, kind)
      const nth = Math.ceil(turn.number / 2)
      const step = 1 + ((nth * stride) % total)
      const run = yield* write()
      const findings: Array<Finding> = []
      const { code, signal, stderr } = yield* deliverAndDie(turn, run, kind, step)
      if (signal !== "SIGKILL" && code !== 0)
        findings.push({ _tag: "amiss", detail: `it ended with ${code}: ${stderr}` })

      const standing = yield* Effect.scoped(deliverAll(turn.folder, run, kind))
      const found = kind === "store" ? yield* Stored.series(run) : served(turn.folder, run)
      const dead = kind === "store" ? new Map<string, Stored.Columns>() : deadLetters(turn.folder, run)
      findings.push(...compare(found, [{ acknowledged: points, begun: points }], dead))
      const stored = Stored.count(found)
      // The params are an event, too, where the backend takes them.
      const events = kind === "store" ? stored + 1 : stored
      const counts = `${standing?.delivered} delivered, ${standing?.deadLetter} refused, ${standing?.pending} pending`
      if (standing?.delivered !== events || standing.pending !== 0 || standing.deadLetter !== points - stored) {
        findings.push({ _tag: "altered", detail: `counted are ${counts}; there are ${events}` })
      }
      const whole = nth >= total ? `, all ${total} met` : ` of ${total}`
      return {
        acknowledged: points,
        stored: stored + Stored.count(dead),
        statuses: ["finished"],
        what: `delivering to the ${kind} killed at step ${step}${whole}`,
        findings
      }
    }).pipe(Effect.provide(Layer.provide(Journal.layerFile({ dir: turn.folder }), NodePlatform.layer)))
}
