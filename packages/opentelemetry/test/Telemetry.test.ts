import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import { describe } from "vitest"
import * as Recording from "../../core/test/support/RecordingBackend.ts"
import * as Telemetry from "../src/Telemetry.ts"
import * as Receiver from "./support/receiver.ts"

const environment = (variables: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables))

/** Runs three spans, one within another, with the layer; the environment is `variables` alone. */
const spans = (options: Telemetry.Options, variables: Record<string, string> = {}) =>
  Effect.void.pipe(
    Effect.withSpan("inner"),
    Effect.withSpan("outer", { attributes: { "tracelet.run.id": "r" } }),
    Effect.provide(Telemetry.layer(options).pipe(Layer.provide(environment(variables))))
  )

/** What is logged while `effect` runs. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.as(Effect.provide(effect, Logger.layer([logger])), lines)
  })

/** Names of the spans and of tracelet's metrics in JSON requests. */
const namesIn = ({ received }: Receiver.Receiver): ReadonlyArray<string> =>
  received.flatMap(({ body }) =>
    [...body.toString().matchAll(/"name":"(inner|outer|tracelet\.[a-z.]+)"/g)].map(([, name = ""]) => name)
  )

describe("Telemetry.layer", () => {
  it.live("sends spans and metrics, with the service's name and the headers it was given", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      yield* Effect.provideService(
        Effect.andThen(
          Metric.update(Metric.counter("c"), 1),
          spans({
            endpoint: `${receiver.url}/`,
            serviceName: "trainer",
            protocol: "http/json",
            headers: { "x-key": Redacted.make("geheim") }
          })
        ),
        Metric.MetricRegistry,
        new Map()
      )
      assert.deepStrictEqual(receiver.received.map(({ path }) => path).toSorted(), ["/v1/metrics", "/v1/traces"])
      for (const { body, headers } of receiver.received) {
        assert.strictEqual(headers["x-key"], "geheim")
        assert.include(body.toString(), `{"key":"service.name","value":{"stringValue":"trainer"}}`)
        assert.notInclude(body.toString(), "geheim")
      }
      assert.deepStrictEqual(namesIn(receiver), ["inner", "outer"])
    })
  )

  it.live("takes OpenTelemetry's own variables for what the app leaves out, those of one signal first", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      yield* spans(
        {},
        {
          OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9/",
          OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/my/traces`,
          OTEL_EXPORTER_OTLP_HEADERS: "x-key=wrong",
          OTEL_EXPORTER_OTLP_TRACES_HEADERS: "X-Key=a%20b,x-other=c=d",
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
          OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
          OTEL_METRICS_EXPORTER: "none",
          OTEL_SERVICE_NAME: "from the environment",
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=test"
        }
      )
      const [request, ...more] = receiver.received
      assert.deepStrictEqual(more, [])
      assert.strictEqual(request?.path, "/my/traces")
      assert.deepInclude(request?.headers, { "x-key": "a b", "x-other": "c=d", "content-type": "application/json" })
      assert.include(request?.body.toString(), `"stringValue":"from the environment"`)
      assert.include(request?.body.toString(), `"deployment.environment"`)
    })
  )

  it.live("goes nowhere without an endpoint, and where it is switched off", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      const lines = yield* logged(
        Effect.all([
          spans({}),
          spans({ endpoint: receiver.url }, { OTEL_SDK_DISABLED: "true" }),
          spans({ endpoint: receiver.url, signals: ["traces"] }, { OTEL_TRACES_EXPORTER: "console" })
        ])
      )
      assert.deepStrictEqual(receiver.received, [])
      assert.deepStrictEqual(lines, [])
    })
  )

  for (const [what, variables, said] of [
    [
      "a protocol it does not speak",
      { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
      /PROTOCOL=grpc is not supported: use http\/protobuf/
    ],
    ["headers that cannot be read", { OTEL_EXPORTER_OTLP_HEADERS: "geheim" }, /HEADERS must read name=value/],
    ["a time-out that is none", { OTEL_EXPORTER_OTLP_TIMEOUT: "10s" }, /TIMEOUT must be a number of milliseconds/],
    [
      "an endpoint that is none",
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector:4318" },
      /endpoint must begin with http/
    ],
    ["attributes that cannot be read", { OTEL_RESOURCE_ATTRIBUTES: "a=%ZZ" }, /OpenTelemetry is off/]
  ] as const) {
    it.live(`warns of ${what}, and the app goes on`, () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          spans({ signals: ["traces"] }, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", ...variables })
        )
        assert.match(lines.join("\n"), said)
        assert.notInclude(lines.join("\n"), "geheim")
      })
    )
  }

  it.live("keeps the part of the traces that it was told to, each of them whole", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      const own = { endpoint: receiver.url, protocol: "http/json", signals: ["traces"] } as const
      yield* spans({ ...own, sampling: 0 })
      yield* spans(own, { OTEL_TRACES_SAMPLER: "parentbased_always_off" })
      assert.deepStrictEqual(namesIn(receiver), [])
      const many = Effect.replicateEffect(Effect.withSpan(Effect.withSpan(Effect.void, "inner"), "outer"), 1_000)
      yield* Effect.provide(many, Telemetry.layer({ ...own, sampling: 0.5 }))
      const names = namesIn(receiver)
      // Of 1,000 halves: beyond 400 to 600 lies less than one in 10^9.
      assert.isTrue(names.length > 2 * 400 && names.length < 2 * 600, `${names.length}`)
      assert.strictEqual(names.filter((name) => name === "inner").length, names.length / 2)
    })
  )

  it.live("costs an app no more than the time-out when the receiver takes requests and says nothing", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start(() => "silent")
      const began = yield* Clock.currentTimeMillis
      yield* spans({ endpoint: receiver.url, signals: ["traces", "metrics", "logs"], shutdownTimeout: "500 millis" })
      const took = (yield* Clock.currentTimeMillis) - began
      assert.isAbove(receiver.received.length, 0)
      assert.isAtLeast(took, 450)
      assert.isBelow(took, 1_400)
    })
  )

  it.live("says once that nothing arrives, where that would be and what came back, without what authorises", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start(() => 401)
      const endpoint = receiver.url.replace("//", "//user:geheim@")
      const lines = yield* logged(spans({ endpoint: `${endpoint}/base?key=geheim`, signals: ["traces"] }))
      assert.strictEqual(lines.length, 1)
      assert.match(
        lines[0] ?? "",
        /traces do not arrive at http:\/\/127\.0\.0\.1:\d+\/base\/v1\/traces: it answered 401/
      )
      assert.strictEqual(receiver.received[0]?.path, "/base/v1/traces?key=geheim")
      assert.strictEqual(receiver.received[0]?.headers.authorization, `Basic ${btoa("user:geheim")}`)
      assert.notInclude(lines.join(), "geheim")
      const refused = yield* logged(spans({ endpoint: "http://127.0.0.1:9", signals: ["traces"] }))
      assert.match(refused.join("\n"), /traces do not arrive at http:\/\/127\.0\.0\.1:9\/v1\/traces/)
    })
  )

  it.live("tells of a run to its last call, under the span it was begun under", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.start()
      const recording = Recording.make()
      const Tracking = Tracelet.layer({ backends: { memory: Recording.plugin(recording).plugin() } }).pipe(
        Layer.provide(Journal.layerMemory),
        Layer.provideMerge(Telemetry.layer({ endpoint: receiver.url, protocol: "http/json", serviceName: "app" }))
      )
      yield* Tracker.log({ loss: 1 }).pipe(Tracker.withRun(), Effect.withSpan("outer"), Effect.provide(Tracking))
      assert.deepStrictEqual(namesIn(receiver).toSorted(), [
        "outer",
        "tracelet.close",
        "tracelet.event.captured",
        "tracelet.event.delivered",
        "tracelet.lag.duration",
        "tracelet.open",
        "tracelet.plugin.start",
        "tracelet.run",
        "tracelet.write"
      ])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
