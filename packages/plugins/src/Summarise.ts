/**
 * `processor.summarise`: of each window of steps the least, the greatest and the last point of a series. Each is a point that was captured,
 * with its own step and time, in a series of the same name whose context says which: `{ window: "min" }`, `"max"`, `"last"`.
 */
import * as Plugin from "@tracelet/core/Plugin"
import { make, StatefulProcessor, type Output } from "@tracelet/core/StatefulProcessor"
import type { Series } from "@tracelet/core/Series"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as PerSeries from "./internal/perSeries.ts"
import { HeldPoint } from "./internal/saved.ts"
import * as Selection from "./internal/selection.ts"

export const SummariseConfig = Schema.Struct({
  steps: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)).pipe(
    Schema.annotateKey({
      description: "Steps of one window: window k holds the steps from k × `steps` to (k + 1) × `steps` − 1."
    })
  ),
  series: Selection.series,
  captured: Selection.captured,
  name: Selection.name("summarise")
})
export interface SummariseConfig extends Schema.Schema.Type<typeof SummariseConfig> {}

const Window = Schema.Struct({ window: Schema.Int, min: HeldPoint, max: HeldPoint, last: HeldPoint })
type Window = typeof Window.Type

/** NaN is neither less nor greater, and stands only where the window has nothing else. */
const isLess = (a: number, b: number): boolean => a < b || (Number.isNaN(b) && !Number.isNaN(a))

const widened = (window: Window, point: HeldPoint): Window => ({
  window: window.window,
  min: isLess(point.value, window.min.value) ? point : window.min,
  max: isLess(-point.value, -window.max.value) ? point : window.max,
  last: point
})

const give = ({ name, context }: Series, { min, max, last }: Window): ReadonlyArray<Output> => [
  { name, context: { ...context, window: "min" }, ...min },
  { name, context: { ...context, window: "max" }, ...max },
  { name, context: { ...context, window: "last" }, ...last }
]

export const manifest = Plugin.make({
  id: "processor.summarise",
  kind: "processor",
  version: "1",
  stability: "experimental",
  description: "Gives the least, the greatest and the last point of each window of steps.",
  config: SummariseConfig,
  layer: ({ steps, series, captured, name }) =>
    Layer.succeed(
      StatefulProcessor,
      make({
        name,
        scope: "writer",
        captured,
        takes: Selection.matcher(series),
        state: PerSeries.stateOf(Window),
        initial: () => new Map(),
        // A window ends with the first point of another one: a step that comes late opens its window a second time.
        step: PerSeries.step<Window>((of, point, memory) => {
          const window = Math.floor(point.step / steps)
          if (memory?.window === window) return { memory: widened(memory, point), outputs: [] }
          return {
            memory: { window, min: point, max: point, last: point },
            outputs: memory === undefined ? [] : give(of, memory)
          }
        }, give)
      })
    )
})

/**
 * The processor with its config, to be put into `Tracelet.layer({ processors: [...] })`.
 *
 * @example
 * ```ts
 * import * as Summarise from "@tracelet/plugins/Summarise"
 *
 * const processors = [Summarise.plugin({ steps: 1_000, captured: "replaced" })]
 * ```
 */
export const plugin = manifest.plugin
