/** Traces in a real MLflow server, found again by its API. */
import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { afterAll, beforeAll, describe } from "vitest"
import { isInstalled, start, type Server } from "../../backend-mlflow/test/support/server.ts"
import * as Recording from "../../core/test/support/RecordingBackend.ts"
import * as Telemetry from "../src/Telemetry.ts"

const Created = Schema.Struct({ experiment_id: Schema.String })

/** What MLflow's client says of the traces of an experiment: the span names of each, with their attributes and status. */
const Found = Schema.Array(
  Schema.Array(
    Schema.Struct({
      name: Schema.String,
      parent: Schema.NullOr(Schema.String),
      id: Schema.String,
      trace: Schema.String,
      status: Schema.String,
      attributes: Schema.Record(Schema.String, Schema.Json)
    })
  )
)

const readBack = `
import json, sys, mlflow
traces = mlflow.search_traces(locations=[sys.argv[1]], return_type="list")
print(json.dumps([[
    {"name": s.name, "parent": s.parent_id, "id": s.span_id, "trace": s.trace_id, "status": s.status.status_code.value,
     "attributes": s.attributes}
    for s in t.data.spans] for t in traces]))
`

describe.skipIf(!isInstalled)("an MLflow server that takes traces", () => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  }, 150_000)
  afterAll(() => server?.stop())

  const createExperiment = (name: string) =>
    Effect.gen(function* () {
      const response = yield* Effect.promise(() =>
        fetch(`${server.uri}/api/2.0/mlflow/experiments/create`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ name })
        })
      )
      return (yield* Schema.decodeUnknownEffect(Created)(yield* Effect.promise(() => response.json()))).experiment_id
    })

  for (const protocol of ["http/protobuf", "http/json"] as const) {
    it.live(`has the spans of a run and of its delivery, sent as ${protocol}`, () =>
      Effect.gen(function* () {
        const experimentId = yield* createExperiment(protocol)
        const recording = Recording.make()
        const Tracking = Tracelet.layer({ backends: { memory: Recording.plugin(recording).plugin() } }).pipe(
          Layer.provide(Journal.layerMemory),
          Layer.provideMerge(
            Telemetry.layer({
              serviceName: "trainer",
              ...Telemetry.mlflow({ trackingUri: server.uri, experimentId }),
              protocol,
              shutdownTimeout: "30 seconds"
            })
          )
        )
        yield* Tracker.log({ loss: 1 }).pipe(
          Tracker.withRun({ project: "digits", name: "baseline" }),
          Effect.withSpan("request"),
          Effect.provide(Tracking)
        )
        const traces = yield* Schema.decodeUnknownEffect(Found)(
          yield* Effect.promise(() => server.python(readBack, experimentId))
        )
        const names = traces.map((spans) =>
          spans
            .map(({ name }) => name)
            .toSorted()
            .join(", ")
        )
        assert.deepStrictEqual(names.toSorted(), [
          "request, tracelet.run",
          "tracelet.close",
          "tracelet.open",
          "tracelet.plugin.start",
          "tracelet.write"
        ])
        const all = traces.flat()
        const run = all.find(({ name }) => name === "tracelet.run")
        const request = all.find(({ name }) => name === "request")
        assert.strictEqual(run?.parent, request?.id)
        assert.deepInclude(run?.attributes, {
          "tracelet.run.id": recording.opened[0]?.run.id,
          "tracelet.run.name": "baseline",
          "tracelet.project": "digits",
          "tracelet.run.status": "finished"
        })
        const write = all.find(({ name }) => name === "tracelet.write")
        assert.deepInclude(write?.attributes, {
          "tracelet.run.id": recording.opened[0]?.run.id,
          "tracelet.batch.events": 1,
          "tracelet.outcome": "accepted"
        })
        assert.isTrue(all.every(({ status }) => status === "OK"))
        assert.strictEqual(run?.trace, `tr-${recording.opened[0]?.started.trace?.traceId}`)
      })
    )
  }
})
