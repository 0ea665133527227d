/**
 * `processor.throttle`: at most one point of a series in an interval of the time they were captured at, and the last one. What it takes in
 * reaches no backend itself; it stays in the journal.
 */
import * as Plugin from "@tracelet/core/Plugin"
import { make, StatefulProcessor, type Output } from "@tracelet/core/StatefulProcessor"
import type { Series } from "@tracelet/core/Series"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as PerSeries from "./internal/perSeries.ts"
import { Float64, HeldPoint } from "./internal/saved.ts"
import * as Selection from "./internal/selection.ts"

export const ThrottleConfig = Schema.Struct({
  every: Schema.DurationFromString.pipe(
    Schema.annotateKey({
      description:
        "The interval, as in `10 seconds`. Too short and nothing is left out; too long and only first and last points are left."
    })
  ),
  series: Selection.series,
  name: Selection.name("throttle")
})
export interface ThrottleConfig extends Schema.Schema.Type<typeof ThrottleConfig> {}

/** When a point of the series was last given, and the newest one since then that was not. */
const Memory = Schema.Struct({ givenAt: Float64, held: Schema.NullOr(HeldPoint) })

const give = ({ name, context }: Series, point: HeldPoint): Output => ({ name, context, ...point })

export const manifest = Plugin.make({
  id: "processor.throttle",
  kind: "processor",
  version: "1",
  stability: "experimental",
  description: "Passes at most one point of a series in an interval of captured time, and the last one.",
  config: ThrottleConfig,
  layer: ({ every, series, name }) => {
    const interval = Duration.toSeconds(every)
    return Layer.succeed(
      StatefulProcessor,
      make({
        name,
        scope: "writer",
        captured: "replaced",
        takes: Selection.matcher(series),
        state: PerSeries.stateOf(Memory),
        initial: () => new Map(),
        step: PerSeries.step<typeof Memory.Type>(
          (of, point, memory) => {
            // A clock that was set back begins a new interval, or the series would be silent until the old time is reached again.
            const isWithin = memory !== undefined && Math.abs(point.time - memory.givenAt) < interval
            return isWithin
              ? { memory: { givenAt: memory.givenAt, held: point }, outputs: [] }
              : { memory: { givenAt: point.time, held: null }, outputs: [give(of, point)] }
          },
          (of, { held }) => (held === null ? [] : [give(of, held)])
        )
      })
    )
  }
})

/**
 * The processor with its config, to be put into `Tracelet.layer({ processors: [...] })`.
 *
 * @example
 * ```ts
 * import * as Throttle from "@tracelet/plugins/Throttle"
 *
 * const processors = [Throttle.plugin({ every: "10 seconds", series: "system/.*" })]
 * ```
 */
export const plugin = manifest.plugin
