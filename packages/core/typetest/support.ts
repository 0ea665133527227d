/** Two plugins to wire rightly and wrongly: one that needs a service, one that needs nothing. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Backend } from "../src/Backend.ts"
import * as Plugin from "../src/Plugin.ts"

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
