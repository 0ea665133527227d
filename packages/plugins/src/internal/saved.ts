/** What the processors' states are made of, as a commit keeps them. */
import * as SeriesContext from "@tracelet/core/SeriesContext"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/**
 * A float64 in JSON as journals write it (journal.md J5.24): NaN, the infinities and whole numbers beyond 2^53 are texts there, and come
 * back as the numbers they were.
 */
export const Float64: Schema.Codec<number, number | string> = Schema.Union([Schema.Number, Schema.String]).pipe(
  Schema.decodeTo(
    Schema.Number,
    SchemaTransformation.transform({ decode: (value) => Number(value), encode: (value): number | string => value })
  )
)

/** One point that is held. */
export const HeldPoint = Schema.Struct({ step: Schema.Int, value: Float64, time: Float64 })
export interface HeldPoint extends Schema.Schema.Type<typeof HeldPoint> {}

export const series = { name: Schema.String, context: SeriesContext.SeriesContext }
