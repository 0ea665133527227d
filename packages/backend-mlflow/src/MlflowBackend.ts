/**
 * MLflow as a backend: a project is an experiment, a run is a run. What is sent again is stored once (identity `point`); the one call
 * that would double is the one that makes a run, and a tag finds that run again.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import { Backend, type BackendRun, type OpenRun } from "@tracelet/core/Backend"
import type { BackendError } from "@tracelet/core/BackendError"
import type { Capabilities } from "@tracelet/core/Capabilities"
import { MlflowClient, layer as clientLayer } from "./MlflowClient.ts"
import type { MlflowConfig } from "./MlflowConfig.ts"
import { findRun } from "./internal/findRun.ts"
import { entriesPerBatch } from "./internal/limits.ts"
import { RunWriter } from "./internal/RunWriter.ts"

export const capabilities: Capabilities = {
  kinds: new Set(["points", "params", "tags", "text", "media", "artifacts", "names"]),
  // Key, step, millisecond and value make a point: the same again is stored once (seen on 3.18.0).
  identity: "point",
  limits: { points: entriesPerBatch, bytes: 2 * 2 ** 20 },
  values: { nan: true, infinity: false, negativeZero: false },
  steps: { negative: true, repeated: true, late: true },
  degradations: [
    "±Infinity is stored as ±1.7976931348623157e308, and −0 as 0.",
    "Times are whole milliseconds; points of a series that are equal in step, millisecond and value are one.",
    "MLflow orders a series by time, then step: its charts show steps all the same.",
    'A context stands before the name: `loss` with { subset: "val" } is `val / loss`, with { rank: 3 } `rank_3 / loss`.',
    "Characters that MLflow refuses in a name are written as _x40_, the code point in hexadecimal.",
    "A name of more than 250 characters is cut and ends in a digest; of a series, a tag tracelet.series.<digest> has the whole.",
    "Nested params are paths, `optimizer/lr`; values are texts, True, False and None as Python writes them, lists as JSON.",
    "A param above 6,000 characters and a tag above 8,000 are cut; the whole is a file below params/ or tags/.",
    "A JPEG or GIF has a name that ends in .png, since MLflow's page shows no other but .webp; browsers look at the bytes.",
    "A histogram is a JSON file of edges and counts, and what MLflow has no page for (audio, meshes, …) is a file.",
    "Console output is not sent: MLflow has no place for it."
  ]
}

export const make = (config: MlflowConfig): Effect.Effect<Backend["Service"], never, MlflowClient> =>
  Effect.map(MlflowClient, (client) => Backend.of({ capabilities, open: (open) => openRun(client, config, open) }))

export const layer = (config: MlflowConfig): Layer.Layer<Backend, never, HttpClient.HttpClient> =>
  Layer.effect(Backend, make(config)).pipe(Layer.provide(clientLayer(config)))

const openRun = (
  client: MlflowClient["Service"],
  config: MlflowConfig,
  open: OpenRun
): Effect.Effect<BackendRun, BackendError> =>
  Effect.gen(function* () {
    const found = yield* findRun(client, config, open)
    const writer = new RunWriter(client, open, found)
    if (found.isFresh) yield* writer.begin
    return {
      remote: found.run.info.run_id,
      confirmed: undefined,
      write: (batch) => writer.write(batch),
      close: (end) => writer.close(end)
    }
  })

/** What `check` learns of a server without writing anything. */
export interface Standing {
  readonly version: string
  /** Whether the experiment that is configured is there. */
  readonly experiment: "found" | "deleted" | "to be made"
}

/** Asks the server for its version, and with the rights that are configured for the experiment; writes nothing. */
export const check = (config: MlflowConfig): Effect.Effect<Standing, BackendError, MlflowClient> =>
  Effect.gen(function* () {
    const client = yield* MlflowClient
    const version = yield* client.version
    const { experiment, experimentId } = config
    const found =
      experimentId === undefined
        ? yield* client.experimentByName(experiment ?? "Default")
        : yield* client.experimentById(experimentId)
    const standing = found === undefined ? "to be made" : found.lifecycle_stage === "deleted" ? "deleted" : "found"
    return { version, experiment: standing }
  })
