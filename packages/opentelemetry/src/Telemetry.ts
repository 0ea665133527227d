/**
 * The spans and metrics of an Effect app, tracelet's own among them (`docs/reference/telemetry.md`), sent to an OpenTelemetry collector or to
 * whatever else takes OTLP over HTTP. It stands on Effect's own exporter and needs no other package.
 *
 * It carries what the app says of itself, never what a run has logged: the exporter drops what it cannot send. Series go by `OtlpBackend`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import * as OtlpLogger from "effect/observability/OtlpLogger"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { sampledRatio, serviceName, settingsOf, type Settings, type Signal } from "./internal/settings.ts"
import * as WatchedClient from "./internal/watchedClient.ts"

export interface Options {
  /**
   * Base address of the receiver, `http://127.0.0.1:4318`; `/v1/traces` and `/v1/metrics` are put behind it. Default:
   * `OTEL_EXPORTER_OTLP_ENDPOINT` and its variants for one signal; without any nothing is exported.
   */
  readonly endpoint?: string
  /** What the receiver wants to see, such as a key. Default: `OTEL_EXPORTER_OTLP_HEADERS`. */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>>
  /** Default: `OTEL_SERVICE_NAME`. */
  readonly serviceName?: string
  readonly serviceVersion?: string
  /** Attributes of the resource. They go before those of `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  /** What is exported. Default: traces and metrics. */
  readonly signals?: ReadonlyArray<Signal>
  /** Default: `OTEL_EXPORTER_OTLP_PROTOCOL`, else `http/protobuf`. */
  readonly protocol?: "http/protobuf" | "http/json"
  /**
   * Which part of all traces is kept, 0 to 1; what a sampled span is the parent of is kept too. Default: `OTEL_TRACES_SAMPLER`, else all.
   * Each batch of a busy run makes a trace of three spans or so: a hundredth is enough to see how a service answers.
   */
  readonly sampling?: number
  /** How often spans and metrics are sent. Default 5 seconds for spans, 10 for metrics. */
  readonly exportInterval?: Duration.Input
  /** Longest wait at the end for a receiver that does not answer. Default 3 seconds. */
  readonly shutdownTimeout?: Duration.Input
}

/**
 * Exports what the app says of itself, as long as the layer lives.
 *
 * *When to use*: `Layer.provideMerge` it under `Tracelet.layer`, so that the app's own spans go the same way and the last batch of a run is
 * told of before the exporter ends. An app that runs OpenTelemetry's JavaScript SDK takes `TelemetrySdk` instead.
 */
export const layer = (options: Options = {}): Layer.Layer<never> => {
  const signals = new Set<Signal>(options.signals ?? ["traces", "metrics"])
  return Layer.unwrap(
    Effect.gen(function* () {
      const service = options.serviceName ?? (yield* serviceName)
      const ratio = options.sampling ?? (yield* sampledRatio)
      const layers = yield* Effect.forEach(signals, (signal) =>
        Effect.map(settingsOf(signal, options), (settings) =>
          settings === undefined ? Layer.empty : exporterOf(signal, settings, options, service, ratio)
        )
      )
      return layers.reduce((merged, one) => Layer.merge(merged, one), Layer.empty)
    })
  ).pipe(
    Layer.catchCause((cause) =>
      Layer.effectDiscard(Effect.logWarning("tracelet: OpenTelemetry is off: its settings cannot be used", cause))
    )
  )
}

const exporterOf = (
  signal: Signal,
  settings: Settings,
  { attributes, exportInterval, serviceVersion, shutdownTimeout }: Options,
  service: string | undefined,
  ratio: number
): Layer.Layer<never> => {
  const common = {
    url: settings.url,
    headers: settings.headers,
    compression: settings.compression,
    resource: { serviceName: service, serviceVersion, attributes: { ...attributes } },
    exportInterval,
    shutdownTimeout
  }
  const serialization =
    settings.protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
  const exporter =
    signal === "traces"
      ? Layer.provideMerge(sampled(ratio), OtlpTracer.layer(common))
      : signal === "metrics"
        ? OtlpMetrics.layer(common)
        : OtlpLogger.layer(common)
  return Layer.effectDiscard(Effect.void).pipe(
    Layer.provideMerge(exporter),
    Layer.provide([serialization, WatchedClient.layer(signal, settings)])
  )
}

/** Keeps a part of the traces; a span follows its parent. */
const sampled = (ratio: number): Layer.Layer<never> =>
  ratio >= 1
    ? Layer.empty
    : Layer.effect(
        Tracer.Tracer,
        Effect.map(Effect.tracer, (tracer) =>
          Tracer.make({
            ...tracer,
            span: (options) =>
              tracer.span({
                ...options,
                sampled: options.sampled && (Option.isSome(options.parent) || Math.random() < ratio)
              })
          })
        )
      )

/** An MLflow server that takes traces. */
export interface MlflowReceiver {
  /** Base address of the tracking server. */
  readonly trackingUri: string
  /** Traces there belong to an experiment. */
  readonly experimentId: string
  readonly token?: string | Redacted.Redacted
  readonly username?: string
  readonly password?: string | Redacted.Redacted
  /** On servers that have workspaces. */
  readonly workspace?: string
}

/**
 * What `layer` needs to send traces to MLflow: a server with a database takes them since 3.6, and neither metrics nor logs (seen on
 * 3.18.0).
 *
 * @example
 * ```ts
 * Telemetry.layer({ serviceName: "trainer", ...Telemetry.mlflow({ trackingUri: "http://127.0.0.1:5000", experimentId: "0" }) })
 * ```
 */
export const mlflow = (
  receiver: MlflowReceiver
): Pick<Options, "signals" | "protocol"> & Required<Pick<Options, "endpoint" | "headers">> => {
  const { experimentId, password, token, trackingUri, username, workspace } = receiver
  const plain = (secret: string | Redacted.Redacted): string =>
    Redacted.isRedacted(secret) ? Redacted.value(secret) : secret
  const authorization =
    username !== undefined && password !== undefined
      ? `Basic ${Buffer.from(`${username}:${plain(password)}`).toString("base64")}`
      : token === undefined
        ? undefined
        : `Bearer ${plain(token)}`
  return {
    endpoint: trackingUri,
    signals: ["traces"],
    protocol: "http/protobuf",
    headers: {
      "x-mlflow-experiment-id": experimentId,
      ...(workspace === undefined ? {} : { "x-mlflow-workspace": workspace }),
      ...(authorization === undefined ? {} : { authorization: Redacted.make(authorization) })
    }
  }
}
