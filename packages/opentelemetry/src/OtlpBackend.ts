/**
 * Points of runs to whatever takes OTLP metrics over HTTP: an OpenTelemetry Collector, Prometheus, Grafana Mimir, VictoriaMetrics. A backend
 * over the journal like any other: what the receiver has not confirmed is sent again, whoever delivers.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import { Backend } from "@tracelet/core/Backend"
import { poison } from "@tracelet/core/BackendError"
import type { Capabilities } from "@tracelet/core/Capabilities"
import * as Plugin from "@tracelet/core/Plugin"
import * as ServiceCall from "@tracelet/core/ServiceCall"
import { parse } from "./internal/headers.ts"
import { partialSuccessOf } from "./internal/partialSuccess.ts"
import { OtlpConfig } from "./OtlpConfig.ts"
import { resourceOf, toMetrics } from "./OtlpMapping.ts"

const id = "backend.otlp"
const version = "0.1.0"

export const capabilities = (stepAttribute: boolean): Capabilities => ({
  kinds: new Set(["points"]),
  // OTLP has no word for "again": a time series database drops a second sample of one series and time, a file has it twice.
  identity: "none",
  // About 100 bytes a point, beside the 4 MiB that gRPC servers and 20 MiB that the Collector's HTTP receiver take by default (0.139).
  limits: { points: 5_000, bytes: 1024 * 1024 },
  values: { nan: true, infinity: true, negativeZero: true },
  steps: { negative: true, repeated: true, late: true },
  degradations: [
    stepAttribute ? "the step is an attribute of its point" : "the step is left out: the axis is time",
    "times are to the microsecond",
    "how a run ended is not sent",
    "what is sent again after a crash may be there twice, as far as the receiver keeps both"
  ]
})

export const make = (
  config: OtlpConfig
): Effect.Effect<Backend["Service"], never, HttpClient.HttpClient | OtlpSerialization.OtlpSerialization> =>
  Effect.gen(function* () {
    const { metrics } = yield* OtlpSerialization.OtlpSerialization
    const headers = config.headers === undefined ? {} : (parse(Redacted.value(config.headers)) ?? {})
    const { call } = yield* ServiceCall.make({
      backend: id,
      secrets: Object.values(headers).map((value) => Redacted.make(value)),
      firstByteWithin: config.requestTimeout,
      answerWithin: Duration.times(config.requestTimeout, 2)
    })
    const url = new URL(config.endpoint)
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/metrics`
    const request = HttpClientRequest.setHeaders(HttpClientRequest.post(url.href), headers)
    const options = { ...config, version }
    return Backend.of({
      capabilities: capabilities(config.stepAttribute),
      open: ({ run, startedAt }) => {
        const resource = resourceOf(run, config.serviceName)
        return Effect.succeed({
          remote: null,
          confirmed: undefined,
          close: () => Effect.void,
          write: Effect.fnUntraced(function* ({ events }) {
            const { count, data, rejected } = toMetrics(resource, startedAt, events, options)
            if (count > 0) {
              const what = `send ${count} points of run ${run.name}`
              const answer = yield* call(what, HttpClientRequest.setBody(request, metrics(data)))
              const partial = partialSuccessOf(answer.body, answer.headers["content-type"] ?? "")
              // It does not say which: halving finds them, at the price of sending the others again.
              if (partial.rejected > 0) {
                const why = partial.message === "" ? "without a reason" : partial.message
                return yield* poison(id, `The receiver left out ${partial.rejected} of ${count} points: ${why}`)
              }
            }
            return { rejected, retryFrom: undefined }
          })
        })
      }
    })
  })

export const layer = (config: OtlpConfig): Layer.Layer<Backend, never, HttpClient.HttpClient> =>
  Layer.effect(Backend, make(config)).pipe(Layer.provide(OtlpSerialization.layerProtobuf))

/** What lists of plugins hold. */
export const manifest = Plugin.make({
  id,
  kind: "backend",
  version,
  stability: "experimental",
  description: "Sends the points of runs as OTLP metrics.",
  config: OtlpConfig,
  environment: {
    endpoint: ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    headers: ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]
  },
  address: "endpoint",
  credential: "headers",
  layer
})

/**
 * @example
 * ```ts
 * const backends = { otlp: OtlpBackend.plugin({ endpoint: "http://127.0.0.1:4318" }) }
 * ```
 */
export const plugin = manifest.plugin
