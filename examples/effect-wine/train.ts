/**
 * Learns from 13 measurements which of three growers a wine comes from, and records how.
 *
 *     npx node --conditions=@tracelet/source examples/effect-wine/train.ts
 *     npx tracelet show wine
 *
 * What is tracked, and where to, stands in two places: `Tracking` says it for the app, `Tracker.withRun` for a run.
 */
import { parseArgs } from "node:util"
import { Effect, Layer } from "effect"
import * as Local from "@tracelet/backend-local"
import { CurrentRun, Journal, Tracelet, Tracker } from "@tracelet/core"
import { Folder, NodePlatform } from "@tracelet/platform-node"
import { makeRandom, readWines, shuffled } from "./data.ts"
import { descend, judge, zero, type State } from "./model.ts"

const { values: options } = parseArgs({
  options: {
    name: { type: "string", default: "wine" },
    epochs: { type: "string", default: "100" },
    seed: { type: "string", default: "3" }
  }
})
const epochs = Number(options.epochs)
const seed = Number(options.seed)
const batchSize = 16
const hyperparameters = { rate: 0.005, momentum: 0.9, decay: 0.01 }

/** The folder that `npx tracelet` reads, too. */
const JournalHere = Layer.unwrap(
  Effect.map(Folder.resolve(process.cwd(), process.env), (dir) => Journal.layerFile({ dir }))
)

const Tracking = Tracelet.layer({ backends: { local: Local.plugin() } }).pipe(
  Layer.provide(JournalHere),
  Layer.provide(NodePlatform.layer)
)

const fit = Effect.gen(function* () {
  const random = makeRandom(seed)
  const { names, train, val } = readWines(random)
  yield* Tracker.logParams({ ...hyperparameters, epochs, seed, batchSize, wines: train.length, measurements: names })

  let state: State = { weights: zero(3, names.length + 1), velocity: zero(3, names.length + 1) }
  let steps = 0
  let points = 0
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffled(train, random)
    for (let start = 0; start < order.length; start += batchSize) {
      const step = descend(state, order.slice(start, start + batchSize), hyperparameters)
      state = step.state
      yield* Tracker.log({ loss: step.loss, grad_norm: step.slope }, { step: steps })
      steps += 1
      points += 2
    }
    for (const [subset, wines] of Object.entries({ train, val })) {
      const { accuracy, loss } = judge(state.weights, wines)
      yield* Tracker.log({ loss, accuracy }, { step: steps, context: { subset } })
      points += 2
    }
    if ((epoch + 1) % Math.ceil(epochs / 5) === 0) {
      const { accuracy, loss } = judge(state.weights, val)
      yield* say(`epoch ${epoch + 1} of ${epochs}   loss ${loss.toFixed(3)}   named right: ${percent(accuracy)}`)
    }
  }

  const { accuracy } = judge(state.weights, val)
  yield* say(`${percent(accuracy)} of ${val.length} wines it had never seen named right`)
  return { run: (yield* CurrentRun.CurrentRun).run, points }
}).pipe(Tracker.withRun({ project: "examples", name: options.name, tags: { data: "wine" } }))

const say = (line: string) => Effect.sync(() => console.log(line))
const percent = (share: number) => `${(share * 100).toFixed(1)}%`

const { points, run } = await Effect.runPromise(Effect.provide(fit, Tracking))
// The layer has ended: everything is delivered by now.
console.log(`run ${run.id}: ${points.toLocaleString("en")} points logged`)
