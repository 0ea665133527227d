/**
 * What a reduction holds: steps that some rank has not given yet, in the order they were first given, and which ranks may still come. As a
 * commit keeps it, it is a list of steps.
 */
import * as Series from "@tracelet/core/Series"
import * as SeriesContext from "@tracelet/core/SeriesContext"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { Float64, series } from "./saved.ts"

const Rank = Schema.Union([Schema.String, Schema.Number, Schema.Boolean])
export type Rank = SeriesContext.Value

const SavedStep = Schema.Struct({
  ...series,
  step: Schema.Int,
  time: Float64,
  values: Schema.Array(Schema.Tuple([Rank, Float64]))
})

const Saved = Schema.Struct({
  steps: Schema.Array(SavedStep),
  /** The ranks that each writer has given something of. */
  writers: Schema.Array(Schema.Tuple([Schema.String, Schema.Array(Rank)])),
  /** Ranks of which no writer is left. */
  gone: Schema.Array(Rank)
})

/** One step of one series (its context without the rank), and what was given for it. */
export interface HeldStep {
  readonly series: Series.Series
  readonly step: number
  /** Greatest of the times, in seconds. */
  time: number
  readonly values: Map<Rank, number>
}

export interface State {
  /** In the order first given. */
  readonly steps: Set<HeldStep>
  /** The same by series and step; more than one where a rank has given a step again. */
  readonly byStep: Map<string, Array<HeldStep>>
  readonly writers: Map<string, Set<Rank>>
  readonly gone: Set<Rank>
}

export const initial = (): State => ({ steps: new Set(), byStep: new Map(), writers: new Map(), gone: new Set() })

/** Of the series, made once: a look-up for each point needs it. */
const keys = new WeakMap<Series.Series, string>()

export const keyOf = (of: Series.Series, step: number): string => {
  let key = keys.get(of)
  if (key === undefined) {
    key = Series.toKey(of)
    keys.set(of, key)
  }
  return `${step} ${key}`
}

export const add = (state: State, held: HeldStep): void => {
  state.steps.add(held)
  const key = keyOf(held.series, held.step)
  state.byStep.set(key, [...(state.byStep.get(key) ?? []), held])
}

export const remove = (state: State, held: HeldStep): void => {
  state.steps.delete(held)
  const key = keyOf(held.series, held.step)
  const others = (state.byStep.get(key) ?? []).filter((one) => one !== held)
  if (others.length === 0) state.byStep.delete(key)
  else state.byStep.set(key, others)
}

export const HeldState = Saved.pipe(
  Schema.decodeTo(
    Schema.declare((value): value is State => typeof value === "object" && value !== null && "byStep" in value),
    SchemaTransformation.transform({
      decode: ({ steps, writers, gone }): State => {
        const state = initial()
        for (const { name, context, step, time, values } of steps) {
          add(state, { series: { name, context }, step, time, values: new Map(values) })
        }
        for (const [writer, ranks] of writers) state.writers.set(writer, new Set(ranks))
        for (const rank of gone) state.gone.add(rank)
        return state
      },
      encode: ({ steps, writers, gone }): typeof Saved.Type => ({
        steps: [...steps].map(({ series: of, step, time, values }) => ({ ...of, step, time, values: [...values] })),
        writers: [...writers].map(([writer, ranks]) => [writer, [...ranks]] as const),
        gone: [...gone]
      })
    })
  )
)
