/**
 * For an app that already runs OpenTelemetry's JavaScript SDK (2.x): its spans and tracelet's are made by the SDK's own tracer, under the
 * span that is active in it, and go where the app sends its own. It stands on `@effect/opentelemetry`; an app without the SDK takes
 * `Telemetry` and installs nothing.
 */
import * as OtelMetrics from "@effect/opentelemetry/OtelMetrics"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import * as Resource from "@effect/opentelemetry/Resource"
import type { TracerProvider } from "@opentelemetry/api"
import type { MetricReader } from "@opentelemetry/sdk-metrics"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"

export interface Options {
  /** Default: the provider that the app has registered, such as by `NodeSDK.start`, before the layer is built. */
  readonly tracerProvider?: TracerProvider
  /**
   * A reader of its own for the metrics, `() => new PeriodicExportingMetricReader({ exporter })`: one that already belongs to a
   * `MeterProvider` takes no second source. Default: metrics stay where they are.
   */
  readonly metricReader?: () => MetricReader
  /** Name on the metrics; spans carry that of the provider. Default `OTEL_SERVICE_NAME`. */
  readonly serviceName?: string
  /** Longest wait at the end for the reader to send what it has. Default 3 seconds. */
  readonly shutdownTimeout?: Duration.Input
}

export const layer = (options: Options = {}): Layer.Layer<never> => {
  const { metricReader, serviceName, shutdownTimeout, tracerProvider } = options
  const provider =
    tracerProvider === undefined
      ? OtelTracer.layerGlobalProvider
      : Layer.succeed(OtelTracer.OtelTracerProvider, tracerProvider)
  const traces = OtelTracer.layerWithoutOtelTracer.pipe(Layer.provide(OtelTracer.layerTracer), Layer.provide(provider))
  if (metricReader === undefined) return traces
  const resource = serviceName === undefined ? Resource.layerFromEnv() : Resource.layer({ serviceName })
  const metrics = OtelMetrics.layer(metricReader, shutdownTimeout === undefined ? {} : { shutdownTimeout })
  return Layer.merge(traces, Layer.provide(metrics, resource))
}
