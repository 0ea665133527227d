/**
 * Points as OTLP metrics (opentelemetry-proto 1.9): a gauge for each name, its context as attributes of the points, the run as the resource.
 *
 * The run's id is also `service.instance.id`: receivers that keep little of a resource keep that, Prometheus as the label `instance`, and so
 * two runs never make one series.
 */
import type { MetricsData } from "effect/observability/OtlpMetrics"
import * as OtlpResource from "effect/observability/OtlpResource"
import type { Run } from "@tracelet/core/Run"
import type { RunEvent } from "@tracelet/core/RunEvent"
import * as Telemetry from "@tracelet/core/Telemetry"
import type { Rejected } from "@tracelet/core/WriteReport"

export interface Mapped {
  /** Points that are in `data`. */
  readonly count: number
  readonly data: MetricsData
  /** What OTLP cannot hold. */
  readonly rejected: ReadonlyArray<Rejected>
}

export interface Options {
  readonly serviceName: string
  readonly stepAttribute: boolean
  /** Version of tracelet, for the scope. */
  readonly version: string
}

type Metric = MetricsData["resourceMetrics"][number]["scopeMetrics"][number]["metrics"][number]
type Point = NonNullable<Metric["gauge"]>["dataPoints"][number]

export const resourceOf = ({ id, name, project }: Run, serviceName: string): OtlpResource.Resource =>
  OtlpResource.make({
    serviceName,
    attributes: {
      "service.instance.id": id,
      [Telemetry.attributes.runId.name]: id,
      [Telemetry.attributes.runName.name]: name,
      [Telemetry.attributes.project.name]: project
    }
  })

/** Nanoseconds since the Unix epoch as OTLP writes them, to the microsecond that a float64 of seconds holds; `undefined` outside of 64 bits. */
const nanos = (seconds: number): string | undefined => {
  const micros = Math.round(seconds * 1e6)
  // 2^64 nanoseconds end in the year 2554.
  return micros >= 0 && micros < 2 ** 64 / 1_000 ? `${BigInt(micros) * 1_000n}` : undefined
}

export const toMetrics = (
  resource: OtlpResource.Resource,
  startedAt: number,
  events: ReadonlyArray<RunEvent>,
  { stepAttribute, version }: Options
): Mapped => {
  const metrics = new Map<string, Array<Point>>()
  const rejected: Array<Rejected> = []
  const startTimeUnixNano = nanos(startedAt) ?? "0"
  let count = 0
  for (const [e, event] of events.entries()) {
    if (event._tag !== "PointBatch") continue
    const known = new Map<number, { readonly points: Array<Point>; readonly attributes: Point["attributes"] }>()
    for (let i = 0; i < event.count; i++) {
      const number = event.series[i] ?? -1
      let series = known.get(number)
      if (series === undefined) {
        const { context = {}, name = "" } = event.table.get(number) ?? {}
        const points = metrics.get(name) ?? []
        metrics.set(name, points)
        known.set(number, (series = { points, attributes: OtlpResource.entriesToAttributes(Object.entries(context)) }))
      }
      const timeUnixNano = nanos(event.times[i] ?? NaN)
      if (timeUnixNano === undefined) {
        rejected.push({ event: e, index: i, reason: "OTLP holds times from 1970 to 2554" })
        continue
      }
      const step = { key: "step", value: { intValue: event.steps[i] ?? 0 } }
      series.points.push({
        attributes: stepAttribute ? [...series.attributes, step] : series.attributes,
        startTimeUnixNano,
        timeUnixNano,
        asDouble: event.values[i] ?? NaN
      })
      count++
    }
  }
  const gauges = [...metrics]
    .filter(([, dataPoints]) => dataPoints.length > 0)
    .map(([name, dataPoints]) => ({ name, gauge: { dataPoints } }))
  const scopeMetrics = [{ scope: { name: "tracelet", version }, metrics: gauges }]
  return { count, rejected, data: { resourceMetrics: [{ resource, scopeMetrics }] } }
}
