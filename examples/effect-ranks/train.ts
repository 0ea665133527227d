/**
 * Four ranks learn from a quarter of the wines each, and after every epoch go on from the mean of their weights. Each logs its own loss; the
 * mean over them is derived, and the slopes are thinned to the least, greatest and last of ten steps.
 *
 *     npx node --conditions=@tracelet/source examples/effect-ranks/train.ts
 *     npx tracelet show ranks
 *
 * What is derived lies beside what was logged: `processors` says what, and nothing in the training knows of it.
 */
import { parseArgs } from "node:util"
import { Effect, Layer } from "effect"
import * as Local from "@tracelet/backend-local"
import { LocalReader, layer as readerOf } from "@tracelet/backend-local/LocalReader"
import { CurrentRun, Journal, Tracelet, Tracker } from "@tracelet/core"
import { Folder, NodePlatform } from "@tracelet/platform-node"
import { Reduce, Summarise } from "@tracelet/plugins"
import { makeRandom, readWines } from "../effect-wine/data.ts"
import { descend, judge, zero, type State, type Weights } from "../effect-wine/model.ts"

const { values: options } = parseArgs({ options: { epochs: { type: "string", default: "40" } } })
const epochs = Number(options.epochs)
const ranks = 4
const batchSize = 8
const hyperparameters = { rate: 0.005, momentum: 0.9, decay: 0.01 }

/** The folder that `npx tracelet` reads, too. */
const dir = await Effect.runPromise(Effect.provide(Folder.resolve(process.cwd(), process.env), NodePlatform.layer))

const Tracking = Tracelet.layer({
  backends: { local: Local.plugin() },
  processors: [
    Reduce.plugin({ by: "mean", ranks, series: "loss" }),
    Summarise.plugin({ steps: 10, series: "grad_norm", captured: "replaced" })
  ]
}).pipe(Layer.provide(Journal.layerFile({ dir })), Layer.provide(NodePlatform.layer))

const mean = (all: ReadonlyArray<Weights>): Weights =>
  zero(3, all[0]?.[0]?.length ?? 0).map((row, k) =>
    row.map((_, i) => all.reduce((sum, weights) => sum + (weights[k]?.[i] ?? 0), 0) / all.length)
  )

const fit = Effect.gen(function* () {
  const { names, train, val } = readWines(makeRandom(3))
  yield* Tracker.logParams({ ...hyperparameters, epochs, ranks, batchSize })
  let shared = zero(3, names.length + 1)
  let states: ReadonlyArray<State> = Array.from({ length: ranks }, () => ({ weights: shared, velocity: shared }))

  /** One epoch of one rank, over every fourth wine. */
  const epochOf = (epoch: number, rank: number, from: State) =>
    Effect.gen(function* () {
      const own = train.filter((_, i) => i % ranks === rank).slice(0, 32)
      let state = from
      for (let batch = 0; batch * batchSize < own.length; batch++) {
        const { state: next, ...step } = descend(
          state,
          own.slice(batch * batchSize, (batch + 1) * batchSize),
          hyperparameters
        )
        state = next
        const at = (epoch * own.length) / batchSize + batch
        yield* Tracker.log({ loss: step.loss, grad_norm: step.slope }, { step: at, context: { rank } })
        // The ranks take turns as processes would: who is first differs.
        yield* Effect.yieldNow
      }
      return state
    })

  for (let epoch = 0; epoch < epochs; epoch++) {
    const after = yield* Effect.forEach(states, (state, rank) => epochOf(epoch, rank, state), {
      concurrency: "unbounded"
    })
    shared = mean(after.map(({ weights }) => weights))
    states = after.map(({ velocity }) => ({ weights: shared, velocity }))
  }
  console.log(`${(judge(shared, val).accuracy * 100).toFixed(1)}% of ${val.length} wines named right`)
  return (yield* CurrentRun.CurrentRun).run
}).pipe(Tracker.withRun({ project: "examples", name: "ranks", tags: { data: "wine" } }))

const run = await Effect.runPromise(Effect.provide(fit, Tracking))
// The layer has ended: everything is derived and delivered by now.

const report = Effect.gen(function* () {
  const reader = yield* LocalReader
  for (const { id, name, context } of yield* reader.series(run.id)) {
    if (!("reduce" in context) && !("window" in context && context["rank"] === 1)) continue
    const { values } = yield* reader.points(run.id, id, {})
    const [first = NaN, last = NaN] = [values[0], values.at(-1)]
    console.log(
      `${name} ${JSON.stringify(context)}: ${values.length} points, ${first.toFixed(3)} to ${last.toFixed(3)}`
    )
  }
})
await Effect.runPromise(
  Effect.provide(report, readerOf({ file: Local.LocalPlugin.fileOf({ folder: dir, isInMemory: false }) }))
)
console.log(`run ${run.id}: ${(epochs * ranks * 4 * 2).toLocaleString("en")} points logged`)
