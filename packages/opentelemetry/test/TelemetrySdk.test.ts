import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import { trace } from "@opentelemetry/api"
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { afterAll, beforeAll, describe } from "vitest"
import * as Recording from "../../core/test/support/RecordingBackend.ts"
import * as TelemetrySdk from "../src/TelemetrySdk.ts"

describe("TelemetrySdk.layer", () => {
  const exporter = new InMemorySpanExporter()
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  beforeAll(() => provider.register())
  afterAll(() => provider.shutdown())

  it.live("makes its spans with the SDK that the app runs, under the span that is active there", () =>
    Effect.gen(function* () {
      const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
      const recording = Recording.make()
      const Tracking = Tracelet.layer({ backends: { memory: Recording.plugin(recording).plugin() } }).pipe(
        Layer.provide(Journal.layerMemory),
        Layer.provideMerge(
          TelemetrySdk.layer({
            serviceName: "app",
            metricReader: () =>
              new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 })
          })
        )
      )
      const outer = yield* Effect.promise(() =>
        trace.getTracer("the app's own").startActiveSpan("outer", async (span) => {
          const work = Tracker.log({ loss: 1 }).pipe(Tracker.withRun({ name: "n" }), Effect.provide(Tracking))
          await Effect.runPromise(Effect.provideService(work, Metric.MetricRegistry, new Map()))
          span.end()
          return span.spanContext()
        })
      )
      const spans = exporter.getFinishedSpans()
      const run = spans.find(({ name }) => name === "tracelet.run")
      assert.strictEqual(run?.spanContext().traceId, outer.traceId)
      assert.strictEqual(recording.opened[0]?.started.trace?.traceId, outer.traceId)
      assert.strictEqual(run?.attributes["tracelet.run.id"], recording.opened[0]?.run.id)
      const write = spans.find(({ name }) => name === "tracelet.write")
      assert.isUndefined(write?.parentSpanContext)
      assert.strictEqual(write?.links[0]?.context.traceId, outer.traceId)
      const named = metrics.getMetrics().flatMap(({ resource, scopeMetrics }) => {
        assert.strictEqual(resource.attributes["service.name"], "app")
        return scopeMetrics.flatMap(({ metrics: all }) => all.map(({ descriptor }) => descriptor.name))
      })
      assert.include(named, "tracelet.event.delivered")
    })
  )
})
