/**
 * A fold for each series of a writer, with a memory that is bounded: beyond `seriesMax` the series that came first gives out what it holds
 * and is forgotten; when it comes again it begins anew.
 */
import type { Json } from "@tracelet/core/JsonObject"
import type { Series } from "@tracelet/core/Series"
import * as SeriesKey from "@tracelet/core/Series"
import type { Input, Output } from "@tracelet/core/StatefulProcessor"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { series, type HeldPoint } from "./saved.ts"

/** Most series that one writer's fold remembers: about 200 bytes each, written with each commit. */
const seriesMax = 4_096

/** One series and what is remembered of it. */
interface Remembered<Memory> {
  readonly name: string
  readonly context: Series["context"]
  readonly memory: Memory
}

/** By the series' key, in the order first seen. */
export type State<Memory> = Map<string, Remembered<Memory>>

export const stateOf = <Memory>(memory: Schema.Codec<Memory, Json>): Schema.Codec<State<Memory>, Json> =>
  Schema.Array(Schema.Struct({ ...series, memory })).pipe(
    Schema.decodeTo(
      Schema.declare((value): value is State<Memory> => value instanceof Map),
      SchemaTransformation.transform({
        decode: (list): State<Memory> => new Map(list.map((one) => [SeriesKey.toKey(one), one])),
        encode: (state): ReadonlyArray<Remembered<Memory>> => [...state.values()]
      })
    )
  )

/** `point` gives the new memory and what is given out; `end` what is held. */
export const step =
  <Memory>(
    point: (
      series: Series,
      point: HeldPoint,
      memory: Memory | undefined
    ) => { readonly memory: Memory; readonly outputs: ReadonlyArray<Output> },
    end: (series: Series, memory: Memory) => ReadonlyArray<Output>
  ) =>
  (state: State<Memory>, input: Input): readonly [State<Memory>, ReadonlyArray<Output>] => {
    const outputs: Array<Output> = []
    if (input._tag === "Points") {
      const { points } = input
      for (let i = 0; i < points.count; i++) {
        const of = points.table.get(points.series[i] ?? -1)
        if (of === undefined) continue
        const key = keyOf(of)
        const held = { step: points.steps[i] ?? 0, value: points.values[i] ?? NaN, time: points.times[i] ?? NaN }
        const next = point(of, held, state.get(key)?.memory)
        state.set(key, { name: of.name, context: of.context, memory: next.memory })
        outputs.push(...next.outputs)
        if (state.size > seriesMax) forget(state, outputs, end)
      }
    } else if (input._tag === "Ended") {
      for (const { memory, ...of } of state.values()) outputs.push(...end(of, memory))
      state.clear()
    }
    return [state, outputs]
  }

const forget = <Memory>(
  state: State<Memory>,
  outputs: Array<Output>,
  end: (series: Series, memory: Memory) => ReadonlyArray<Output>
) => {
  const [oldest] = state
  if (oldest === undefined) return
  const [key, { memory, ...of }] = oldest
  outputs.push(...end(of, memory))
  state.delete(key)
}

const keys = new WeakMap<Series, string>()

const keyOf = (of: Series): string => {
  const known = keys.get(of)
  if (known !== undefined) return known
  const key = SeriesKey.toKey(of)
  keys.set(of, key)
  return key
}
