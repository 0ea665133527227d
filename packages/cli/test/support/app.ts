/** An Effect app with stateful processors that leaves the end of its run undelivered, as one does that has to be gone. */
import * as Local from "@tracelet/backend-local"
import * as Journal from "@tracelet/core/Journal"
import * as Plugin from "@tracelet/core/Plugin"
import { make, StatefulProcessor } from "@tracelet/core/StatefulProcessor"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Reduce from "@tracelet/plugins/Reduce"
import * as Summarise from "@tracelet/plugins/Summarise"
import * as Throttle from "@tracelet/plugins/Throttle"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"

export const ranks = 4
export const steps = 300

export const builtIn = [
  Reduce.plugin({ by: "mean", ranks, series: "loss" }),
  Summarise.plugin({ steps: 50, series: "grad", captured: "replaced" }),
  Throttle.plugin({ every: "1 hour", series: "busy" })
]

/** One that no distribution has. */
export const homemade = Plugin.make({
  id: "processor.homemade",
  kind: "processor",
  version: "1",
  stability: "experimental",
  description: "Gives each point a second time.",
  config: Schema.Struct({}),
  layer: () =>
    Layer.succeed(
      StatefulProcessor,
      make({
        name: "homemade",
        scope: "writer",
        captured: "kept",
        takes: ({ name }) => name === "loss",
        state: Schema.Null,
        initial: () => null,
        step: (state, input) => {
          if (input._tag !== "Points") return [state, []]
          const { steps: at, values, times } = input.points
          return [
            state,
            Array.from(at, (step, i) => ({
              name: "again",
              context: {},
              step,
              value: values[i] ?? 0,
              time: times[i] ?? 0
            }))
          ]
        }
      })
    )
}).plugin()

const train = Effect.gen(function* () {
  for (let step = 0; step < steps; step++) {
    for (let rank = 0; rank < ranks; rank++) yield* Tracker.log({ loss: step + rank }, { step, context: { rank } })
    yield* Tracker.log({ grad: step % 7, busy: step }, { step })
    // Its lanes have begun, and are not done when it ends.
    if (step === 10) yield* Effect.sleep("1500 millis")
  }
}).pipe(Tracker.withRun({ project: "digits", name: "ranks" }))

/** Runs it in `dir`. */
export const run = (dir: string, processors: ReadonlyArray<(typeof builtIn)[number]>): Effect.Effect<void> =>
  train.pipe(
    Effect.provide(
      Tracelet.layer({ drain: "1 millis", backends: { local: Local.plugin() }, processors }).pipe(
        Layer.provide(Journal.layerFile({ dir })),
        Layer.provide(NodePlatform.layer)
      )
    ),
    Effect.provide(Logger.layer([])),
    Effect.orDie
  )
