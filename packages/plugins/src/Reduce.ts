/**
 * `processor.reduce`: one value of what all ranks gave for a step: mean, least, greatest or sum. It is given when the last rank has given
 * it, in a series of the same name whose context has `{ reduce: "mean" }` in the place of the rank; its time is that of the rank that was
 * last.
 *
 * Nothing that was taken in is dropped. A rank whose process has ended is waited for no longer. What some rank never gave is given when
 * all have ended, or when more than `heldMax` steps wait, with the number of ranks that gave it in the context: `{ reduce: "mean",
 * given: 3 }`. A step that a rank gives twice counts twice: its second value meets the others' second values.
 */
import * as Plugin from "@tracelet/core/Plugin"
import { make, StatefulProcessor } from "@tracelet/core/StatefulProcessor"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { step, type Method } from "./internal/reduction.ts"
import { HeldState, initial } from "./internal/heldSteps.ts"
import * as Selection from "./internal/selection.ts"

const methods = ["mean", "min", "max", "sum"] as const satisfies ReadonlyArray<Method>

export const ReduceConfig = Schema.Struct({
  by: Schema.Literals(methods).pipe(Schema.annotateKey({ description: "`mean`, `min`, `max` or `sum`." })),
  ranks: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_536 })).pipe(
    Schema.annotateKey({
      description:
        "How many ranks give each step. Too few, and a step is split in two; too many, and each waits for its end."
    })
  ),
  key: Schema.NonEmptyString.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("rank")),
    Schema.annotateKey({
      description: "Key of the context that tells the ranks apart. Default: `rank`. Points without it are not taken in."
    })
  ),
  series: Selection.series,
  captured: Selection.captured,
  heldMax: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_536 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(4_096)),
    Schema.annotateKey({
      description:
        "Most steps that wait for a rank, over all series; beyond it the oldest is given as it is. Default: 4096. Too small, and ranks that " +
        "run apart get incomplete values; too large, and each commit of the derived journal writes as much."
    })
  ),
  name: Schema.optionalKey(Selection.nameOf).pipe(
    Schema.annotateKey({
      description:
        "Name of its derived journal; two of one kind in one app need two. Default: `reduce-` and the method."
    })
  )
})
export interface ReduceConfig extends Schema.Schema.Type<typeof ReduceConfig> {}

export const manifest = Plugin.make({
  id: "processor.reduce",
  kind: "processor",
  version: "1",
  stability: "experimental",
  description: "Gives the mean, least, greatest or sum over all ranks of each step.",
  config: ReduceConfig,
  layer: ({ by, ranks, key, series, captured, heldMax, name = `reduce-${by}` }) => {
    const matches = Selection.matcher(series)
    return Layer.succeed(
      StatefulProcessor,
      make({
        name,
        scope: "run",
        captured,
        takes: (of) => Object.hasOwn(of.context, key) && matches(of),
        state: HeldState,
        initial,
        step: step({ by, ranks, key, heldMax })
      })
    )
  }
})

/**
 * The processor with its config, to be put into `Tracelet.layer({ processors: [...] })`.
 *
 * @example
 * ```ts
 * import * as Reduce from "@tracelet/plugins/Reduce"
 *
 * const processors = [Reduce.plugin({ by: "mean", ranks: 4, series: "loss|val/.*" })]
 * ```
 */
export const plugin = manifest.plugin
