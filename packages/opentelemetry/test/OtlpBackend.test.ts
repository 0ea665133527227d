import { assert, it } from "@effect/vitest"
import { openAlone } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import { Backend } from "@tracelet/core/Backend"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { describe } from "vitest"
import * as OtlpBackend from "../src/OtlpBackend.ts"
import { partialSuccessOf } from "../src/internal/partialSuccess.ts"
import { batchOf, point, started, type Logged } from "./support/points.ts"
import * as Python from "./support/python.ts"
import * as Receiver from "./support/receiver.ts"

const isDecoderThere = Python.hasModule("opentelemetry.proto")

const Attributes = Schema.Record(Schema.String, Schema.Json)
const Decoded = Schema.Struct({
  resource: Attributes,
  points: Schema.Array(
    Schema.Struct({ name: Schema.String, value: Schema.String, time: Schema.String, attributes: Attributes })
  )
})

/** What OpenTelemetry's own classes read in a request. */
const decode = (body: Uint8Array) =>
  Schema.decodeUnknownSync(Decoded)(
    Python.run(
      `
import json, sys
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
request = ExportMetricsServiceRequest()
request.ParseFromString(sys.stdin.buffer.read())
(resource,) = request.resource_metrics
(scope,) = resource.scope_metrics
plain = lambda attributes: {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
print(json.dumps({"resource": plain(resource.resource.attributes), "points": [
    {"name": m.name, "value": repr(p.as_double), "time": str(p.time_unix_nano), "attributes": plain(p.attributes)}
    for m in scope.metrics for p in m.gauge.data_points]}))
`,
      body
    )
  )

const write = (config: Parameters<typeof OtlpBackend.plugin>[0], logged: ReadonlyArray<Logged>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { open } = yield* Backend
      const run = yield* open(openAlone(started))
      return yield* run.write(batchOf(logged))
    })
  ).pipe(Effect.provide(Layer.provide(OtlpBackend.plugin(config).layer, FetchHttpClient.layer)))

describe.skipIf(!isDecoderThere)("what OpenTelemetry's decoder reads", () => {
  it.live("is each point as it was logged, in a gauge of its name, with its context, its time and its run", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      const report = yield* write({ endpoint: `${receiver.url}/base/` }, [
        point("train/loss", 0.1),
        point("train/loss", NaN, { time: 1_700_000_000.123456, context: { rank: 3, subset: "val", best: true } }),
        point("größe", -0),
        point("train/loss", Infinity),
        point("train/loss", -Infinity, { step: -5 })
      ])
      assert.deepStrictEqual(report, { rejected: [], retryFrom: undefined })
      const [request] = receiver.received
      assert.strictEqual(request?.path, "/base/v1/metrics")
      const { points, resource } = decode(request?.body ?? Buffer.alloc(0))
      assert.deepInclude(resource, {
        "service.name": "tracelet",
        "service.instance.id": started.run.id,
        "tracelet.run.id": started.run.id,
        "tracelet.run.name": started.run.name,
        "tracelet.project": "p"
      })
      const at = "1700000000000000000"
      assert.deepStrictEqual(points, [
        { name: "train/loss", value: "0.1", time: at, attributes: {} },
        {
          name: "train/loss",
          value: "nan",
          time: "1700000000123456000",
          attributes: { rank: 3, subset: "val", best: true }
        },
        { name: "train/loss", value: "inf", time: at, attributes: {} },
        { name: "train/loss", value: "-inf", time: at, attributes: {} },
        { name: "größe", value: "-0.0", time: at, attributes: {} }
      ])
    })
  )

  it.live("has the step as an attribute where that is asked for", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      yield* write({ endpoint: receiver.url, stepAttribute: true }, [point("a", 1, { step: -(2 ** 53) + 1 })])
      assert.deepStrictEqual(decode(receiver.received[0]?.body ?? Buffer.alloc(0)).points[0]?.attributes, {
        step: -(2 ** 53) + 1
      })
    })
  )

  it.live("is every point of a run, once, when the receiver is down and busy in between", () =>
    Effect.gen(function* () {
      let asked = 0
      const receiver = yield* Receiver.start(() => (++asked % 2 === 1 ? 503 : 200))
      const Tracking = Tracelet.layer({
        drain: "30 seconds",
        backends: { otlp: OtlpBackend.plugin({ endpoint: receiver.url, stepAttribute: true }) }
      }).pipe(Layer.provide([Journal.layerMemory, FetchHttpClient.layer]))
      const count = 12_000
      yield* Effect.gen(function* () {
        for (let step = 0; step < count; step++) yield* Tracker.log({ loss: step / 2 }, { step })
      }).pipe(Tracker.withRun({ name: "n" }), Effect.provide(Tracking))
      // Each second answer took what it was sent.
      const taken = receiver.received.filter((_, i) => i % 2 === 1)
      const steps = taken.flatMap(({ body }) => decode(body).points.map(({ attributes }) => attributes["step"]))
      assert.deepStrictEqual(
        steps,
        Array.from({ length: count }, (_, i) => i)
      )
    }).pipe(Effect.provide(Logger.layer([])))
  )
})

describe("the OTLP backend", () => {
  it.live("rejects a time that OTLP cannot hold, and sends the others", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      const times = [-1, 1_700_000_000, 2e10]
      const report = yield* write(
        { endpoint: receiver.url },
        times.map((time) => point("a", 1, { time }))
      )
      assert.deepStrictEqual(
        report.rejected.map(({ index }) => index),
        [0, 2]
      )
      assert.strictEqual(receiver.received.length, 1)
    })
  )

  it.live("sends the headers it was given, and tells nobody else", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start(() => 401)
      const config = { endpoint: receiver.url, headers: "X-Key=ge%20heim,x-other=a=b" }
      const exit = yield* Effect.exit(write(config, [point("a", 1)]))
      assert.deepInclude(receiver.received[0]?.headers, { "x-key": "ge heim", "x-other": "a=b" })
      assert.isTrue(Exit.isFailure(exit))
      assert.notMatch(JSON.stringify(exit), /ge heim/)
      assert.match(JSON.stringify(exit), /Unauthorised/)
      const recorded = yield* OtlpBackend.plugin(config).recorded
      assert.notProperty(recorded, "headers")
    })
  )

  it.live("has a batch halved of which the receiver says that it left some out, and why", () =>
    Effect.gen(function* () {
      const body = `{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"too old"}}`
      const receiver = yield* Receiver.start(() => ({ body }))
      const error = yield* Effect.flip(write({ endpoint: receiver.url }, [point("a", 1), point("b", 1)]))
      assert.include(error.message, "left out 1 of 2 points: too old")
      assert.strictEqual(error._tag === "BackendError" ? error.reason._tag : "", "Poison")
    })
  )

  it.live("finds its receiver in OpenTelemetry's own variables", () =>
    Effect.gen(function* () {
      const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318", OTEL_EXPORTER_OTLP_HEADERS: "x-key=1" }
      const recorded = yield* OtlpBackend.plugin({}).recorded.pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)))
      )
      assert.deepStrictEqual(recorded, { endpoint: "http://collector:4318" })
    })
  )

  it("reads how much of a request was left out, in either encoding, and nothing where nothing is said", () => {
    // ExportMetricsServiceResponse { partial_success { rejected_data_points: 300, error_message: "no" } }
    const bytes = Uint8Array.of(0x0a, 0x07, 0x08, 0xac, 0x02, 0x12, 0x02, 0x6e, 0x6f)
    const json = (text: string) => partialSuccessOf(new TextEncoder().encode(text), "application/json; charset=utf-8")
    assert.deepStrictEqual(partialSuccessOf(bytes, "application/x-protobuf"), { rejected: 300, message: "no" })
    assert.deepStrictEqual(json(`{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"no"}}`), {
      rejected: 3,
      message: "no"
    })
    const nothing = { rejected: 0, message: "" }
    for (let end = 0; end < bytes.length; end++) {
      assert.deepStrictEqual(partialSuccessOf(bytes.subarray(0, end), ""), nothing, `${end} bytes`)
    }
    for (const text of [
      "",
      "{}",
      "<html>",
      `{"partialSuccess":null}`,
      `{"partialSuccess":{"rejectedDataPoints":"-1"}}`
    ]) {
      assert.deepStrictEqual(json(text), nothing)
      assert.deepStrictEqual(partialSuccessOf(new TextEncoder().encode(text), "text/html"), nothing)
    }
  })
})
