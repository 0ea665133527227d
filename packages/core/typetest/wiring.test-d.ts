/** What compiles, with which types, and what does not. `tsc -b` is the runner. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { expectTypeOf } from "vitest"
import type { CurrentRun } from "../src/CurrentRun.ts"
import * as Journal from "../src/Journal.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Processor from "../src/Processor.ts"
import * as Route from "../src/Route.ts"
import * as Tracelet from "../src/Tracelet.ts"
import * as Tracker from "../src/Tracker.ts"
import { Aim, type GpuDriver, Local, Mlflow, Windowed } from "./support.ts"

const local = Tracelet.layer({ backends: { local: Local.plugin() } })

expectTypeOf(local).toEqualTypeOf<
  Layer.Layer<
    Tracker.Tracker,
    Plugin.PluginConfigError | Journal.JournalError | Tracker.RunOptionsError,
    Journal.Journal
  >
>()

const both = Tracelet.layer({
  backends: { local: Local.plugin({ file: "x.db" }), mlflow: Mlflow.plugin({ trackingUri: "http://a" }) },
  routes: { mlflow: Route.kinds("points", "params") }
})

expectTypeOf(both).toEqualTypeOf<
  Layer.Layer<
    Tracker.Tracker,
    Plugin.PluginConfigError | Journal.JournalError | Tracker.RunOptionsError,
    Journal.Journal | GpuDriver
  >
>()

// What a stateful processor needs and fails with is the app's, as a backend's is; a pure one needs nothing.
const derived = Tracelet.layer({
  backends: { local: Local.plugin() },
  processors: [Windowed.plugin({ steps: 10 }), Processor.keep("loss")]
})

expectTypeOf(derived).toEqualTypeOf<
  Layer.Layer<
    Tracker.Tracker,
    Plugin.PluginConfigError | Journal.JournalError | Tracker.RunOptionsError,
    Journal.Journal | GpuDriver
  >
>()

// Logging asks for a run, and a run gives it.
expectTypeOf(Tracker.log({ loss: 1 })).toEqualTypeOf<Effect.Effect<void, never, CurrentRun>>()
expectTypeOf(Tracker.log({ loss: 1 }, { onFull: "fail" })).toEqualTypeOf<
  Effect.Effect<void, Tracker.BufferFull, CurrentRun>
>()
expectTypeOf(Tracker.log({ loss: 1 }, { step: 1, durable: true })).toEqualTypeOf<
  Effect.Effect<void, Journal.JournalError, CurrentRun>
>()
// Files and media ask for the same, and fail with nothing: what cannot be kept is counted.
expectTypeOf(Tracker.logArtifact("model.pt", { type: "model" })).toEqualTypeOf<Effect.Effect<void, never, CurrentRun>>()
expectTypeOf(Tracker.logInput("wine", { context: "training" })).toEqualTypeOf<Effect.Effect<void, never, CurrentRun>>()
expectTypeOf(Tracker.logImage("a", new Uint8Array(), { step: 1 })).toEqualTypeOf<
  Effect.Effect<void, never, CurrentRun>
>()
// @ts-expect-error there is no such type
void Tracker.logArtifact("model.pt", { type: "modle" })
// @ts-expect-error pixels have a width and a height
void Tracker.logImage("a", { data: new Uint8Array() })
expectTypeOf(Tracker.log({ loss: 1 }).pipe(Tracker.withRun({ name: "a" }))).toEqualTypeOf<
  Effect.Effect<void, Journal.JournalError | Tracker.RunOptionsError, Tracker.Tracker>
>()
expectTypeOf(Tracker.startRun()).toEqualTypeOf<
  Effect.Effect<Tracker.Run, Journal.JournalError | Tracker.RunOptionsError, Tracker.Tracker | Scope.Scope>
>()

// @ts-expect-error a route to a backend that is not there
Tracelet.layer({ backends: { local: Local.plugin() }, routes: { wandb: Route.kinds("points") } })
// @ts-expect-error a kind that does not exist
Route.kinds("metrics")
// @ts-expect-error a wrong config key
Mlflow.plugin({ trackingURI: "http://a" })
// What the environment may give can be left out, and nothing else.
Aim.plugin({ limit: 1 })
Aim.plugin({ limit: 1, repo: "http://a" })
// @ts-expect-error a key that no variable gives
Aim.plugin({ repo: "http://a" })
// @ts-expect-error a wrong config key beside those that the environment may give
Aim.plugin({ limit: 1, rep: "http://a" })
Plugin.make({
  ...Aim,
  config: Schema.Struct({ repo: Schema.String }),
  // @ts-expect-error a variable for a key that is not there
  environment: { uri: [] },
  layer: () => Layer.empty
})
// @ts-expect-error a config that is missing
Mlflow.plugin()
// @ts-expect-error a backend where a processor belongs
Tracelet.layer({ backends: { local: Local.plugin() }, processors: [Local.plugin()] })
// @ts-expect-error a processor without its config
Windowed.plugin()
// @ts-expect-error logging outside a run
void Effect.runPromise(Tracker.log({ loss: 1 }))
// @ts-expect-error a journal that nobody provides
void Effect.runPromise(Effect.provide(Tracker.withRun({})(Tracker.log({ loss: 1 })), local))
// @ts-expect-error a service that nobody provides
void Effect.runPromise(Layer.launch(Layer.provide(both, Journal.layerMemory)))
// @ts-expect-error a wrong option
Tracker.log({ loss: 1 }, { stepp: 1 })
// @ts-expect-error a value that is no number
Tracker.log({ loss: "1" })
