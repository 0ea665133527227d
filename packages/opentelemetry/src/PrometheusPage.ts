/**
 * The latest value of each series of the runs under way, as a page for Prometheus to scrape (text format 0.0.4). It is a backend that keeps
 * what it is given in memory and a route that shows it; a run leaves the page when it ends.
 *
 * A scrape sees what is there at that moment: points between two of them are not on it. Who wants all of them takes `OtlpBackend`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Backend } from "@tracelet/core/Backend"
import type { Capabilities } from "@tracelet/core/Capabilities"
import * as Plugin from "@tracelet/core/Plugin"
import type { Run, RunId } from "@tracelet/core/Run"
import type { RunEvent } from "@tracelet/core/RunEvent"
import * as Series from "@tracelet/core/Series"
import { accepted } from "@tracelet/core/WriteReport"
import { labelsOf, metricOf, toText } from "./internal/exposition.ts"

/** Most series on the page; a server that scrapes it keeps each of them. What comes beyond is left out, and the page says so. */
export const seriesMax = 10_000

interface Latest {
  readonly metric: string
  readonly labels: string
  value: number
  /** Seconds since the Unix epoch. */
  time: number
}

/** A run on the page: its series by their keys, and the labels that are taken. */
interface Shown {
  readonly run: Run
  readonly latest: Map<string, Latest>
  readonly taken: Set<string>
}

class Page {
  private readonly shown = new Map<RunId, Shown>()
  private size = 0
  /** Whether a series was left out since there was room last. */
  private isOver = false

  take(run: Run, events: ReadonlyArray<RunEvent>): void {
    for (const event of events) {
      if (event._tag !== "PointBatch") continue
      const known = new Map<number, Latest | undefined>()
      for (let i = 0; i < event.count; i++) {
        const number = event.series[i] ?? -1
        if (!known.has(number)) known.set(number, this.latestOf(run, event.table.get(number)))
        const latest = known.get(number)
        const time = event.times[i] ?? 0
        if (latest === undefined || time < latest.time) continue
        latest.value = event.values[i] ?? NaN
        latest.time = time
      }
    }
  }

  private latestOf(run: Run, series: Series.Series | undefined): Latest | undefined {
    if (series === undefined) return undefined
    const shown: Shown = this.shown.get(run.id) ?? { run, latest: new Map(), taken: new Set() }
    this.shown.set(run.id, shown)
    const key = Series.toKey(series)
    const found = shown.latest.get(key)
    if (found !== undefined) return found
    if (this.size >= seriesMax) {
      this.isOver = true
      return undefined
    }
    const metric = metricOf(series.name)
    const latest: Latest = { metric, labels: labelsOf(run, series, shown.taken), value: NaN, time: -Infinity }
    shown.latest.set(key, latest)
    this.size++
    return latest
  }

  remove(run: RunId): void {
    this.size -= this.shown.get(run)?.latest.size ?? 0
    if (this.shown.delete(run)) this.isOver = false
  }

  get text(): string {
    const latest = [...this.shown.values()].flatMap((one) => [...one.latest.values()])
    return toText(latest, this.isOver)
  }
}

export class PrometheusPage extends Context.Service<
  PrometheusPage,
  {
    /** The page as it is now. */
    readonly text: Effect.Effect<string>
    readonly take: (run: Run, events: ReadonlyArray<RunEvent>) => Effect.Effect<void>
    readonly remove: (run: RunId) => Effect.Effect<void>
  }
>()("@tracelet/opentelemetry/PrometheusPage") {}

/** The page that the backend fills and the route shows: provide one and the same to both. */
export const layer: Layer.Layer<PrometheusPage> = Layer.sync(PrometheusPage, () => {
  const page = new Page()
  return {
    text: Effect.sync(() => page.text),
    take: (run, events) => Effect.sync(() => page.take(run, events)),
    remove: (run) => Effect.sync(() => page.remove(run))
  }
})

export const capabilities: Capabilities = {
  kinds: new Set(["points"]),
  identity: "point",
  limits: { points: 65_536, bytes: 1024 * 1024 },
  values: { nan: true, infinity: true, negativeZero: true },
  steps: { negative: true, repeated: true, late: true },
  degradations: [
    "of each series the latest value shows, without its step and its time",
    "characters that Prometheus does not take in names are `_`; the label `series` has the name as it was",
    `at most ${seriesMax} series are on the page`,
    "a run leaves the page when it ends, and comes back with what it logs next when the process begins anew"
  ]
}

const manifest = Plugin.make({
  id: "backend.prometheus",
  kind: "backend",
  version: "0.1.0",
  stability: "experimental",
  description: "Shows the latest values of the runs under way on a page for Prometheus.",
  config: Schema.Struct({}),
  layer: () =>
    Layer.effect(
      Backend,
      Effect.map(PrometheusPage, ({ remove, take }) =>
        Backend.of({
          capabilities,
          open: ({ run }) =>
            Effect.as(
              Effect.addFinalizer(() => remove(run.id)),
              {
                remote: null,
                confirmed: undefined,
                write: ({ events }) => Effect.as(take(run, events), accepted),
                close: () => remove(run.id)
              }
            )
        })
      )
    )
})

/**
 * @example
 * ```ts
 * const Tracking = Tracelet.layer({ backends: { page: PrometheusPage.plugin() } }).pipe(Layer.provide(PrometheusPage.layer))
 * const Routes = PrometheusPage.layerHttp().pipe(Layer.provide(PrometheusPage.layer))
 * ```
 */
export const plugin = manifest.plugin

/** The route that shows the page. Default `/metrics`. */
export const layerHttp = (
  path: HttpRouter.PathInput = "/metrics"
): Layer.Layer<never, never, HttpRouter.HttpRouter | PrometheusPage> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { text } = yield* PrometheusPage
      const router = yield* HttpRouter.HttpRouter
      const contentType = "text/plain; version=0.0.4; charset=utf-8"
      yield* router.add(
        "GET",
        path,
        Effect.map(text, (page) => HttpServerResponse.text(page, { contentType }))
      )
    })
  )
