/** Plugins to wire rightly and wrongly: backends and a processor that need a service, or nothing. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Backend } from "../src/Backend.ts"
import * as Plugin from "../src/Plugin.ts"
import { StatefulProcessor } from "../src/StatefulProcessor.ts"

export class GpuDriver extends Context.Service<GpuDriver, { readonly count: number }>()("typetest/GpuDriver") {}

declare const backend: Backend["Service"]

export const Local = Plugin.make({
  id: "backend.local",
  kind: "backend",
  version: "1",
  stability: "experimental",
  description: "Needs nothing.",
  config: Schema.Struct({ file: Schema.optionalKey(Schema.String) }),
  layer: () => Layer.succeed(Backend, backend)
})

export const Mlflow = Plugin.make({
  id: "backend.mlflow",
  kind: "backend",
  version: "1",
  stability: "experimental",
  description: "Needs a service, and a config.",
  config: Schema.Struct({ trackingUri: Schema.String }),
  layer: () => Layer.effect(Backend, Effect.as(GpuDriver, backend))
})

export const Aim = Plugin.make({
  id: "backend.aim",
  kind: "backend",
  version: "1",
  stability: "experimental",
  description: "Takes a part of its config from the environment.",
  config: Schema.Struct({ repo: Schema.String, token: Schema.String, limit: Schema.Int }),
  environment: { repo: ["AIM_REPO"], token: ["AIM_TOKEN"] },
  layer: () => Layer.succeed(Backend, backend)
})

declare const stateful: StatefulProcessor["Service"]

export const Windowed = Plugin.make({
  id: "processor.windowed",
  kind: "processor",
  version: "1",
  stability: "experimental",
  description: "Needs a service, and a config.",
  config: Schema.Struct({ steps: Schema.Int }),
  layer: () => Layer.effect(StatefulProcessor, Effect.as(GpuDriver, stateful))
})
