/** The step of a reduction over ranks: what `Reduce` says in words. */
import type { PointBatch } from "@tracelet/core/RunEvent"
import type { Series } from "@tracelet/core/Series"
import type { Input, Output } from "@tracelet/core/StatefulProcessor"
import { add, initial, keyOf, remove, type HeldStep, type Rank, type State } from "./heldSteps.ts"

export type Method = "mean" | "min" | "max" | "sum"

export interface Options {
  readonly by: Method
  readonly ranks: number
  readonly key: string
  readonly heldMax: number
}

export const step = (options: Options) => {
  const withoutRank = splitter(options.key)
  return (state: State, input: Input): readonly [State, ReadonlyArray<Output>] => {
    switch (input._tag) {
      case "Points":
        return [state, take(options, withoutRank, state, input.writer, input.points)]
      case "WriterEnded":
        return [state, end(options, state, input.writer)]
      case "Ended":
        return [initial(), [...state.steps].map((held) => give(options, held))]
    }
  }
}

const take = (
  options: Options,
  withoutRank: (series: Series) => readonly [Series, Rank],
  state: State,
  writer: string,
  points: PointBatch
): ReadonlyArray<Output> => {
  const outputs: Array<Output> = []
  const out = (held: HeldStep) => {
    remove(state, held)
    outputs.push(give(options, held))
  }
  for (let i = 0; i < points.count; i++) {
    const full = points.table.get(points.series[i] ?? -1)
    if (full === undefined) continue
    const [series, rank] = withoutRank(full)
    speak(state, writer, rank)
    const number = points.steps[i] ?? 0
    const time = points.times[i] ?? NaN
    // The first of its kind that this rank has not given.
    let held = state.byStep.get(keyOf(series, number))?.find(({ values }) => !values.has(rank))
    if (held === undefined) {
      held = { series, step: number, time, values: new Map() }
      add(state, held)
    }
    held.values.set(rank, points.values[i] ?? NaN)
    if (time > held.time) held.time = time
    if (isComplete(options, state, held)) out(held)
    const [oldest] = state.steps
    if (state.steps.size > options.heldMax && oldest !== undefined) out(oldest)
  }
  return outputs
}

/** The rank has a writer: it is waited for. */
const speak = (state: State, writer: string, rank: Rank): void => {
  const ranks = state.writers.get(writer)
  if (ranks?.has(rank) === true) return
  if (ranks === undefined) state.writers.set(writer, new Set([rank]))
  else ranks.add(rank)
  state.gone.delete(rank)
}

/** What only waited for ranks of this writer waits no longer. */
const end = (options: Options, state: State, writer: string): ReadonlyArray<Output> => {
  const ended = state.writers.get(writer) ?? new Set()
  state.writers.delete(writer)
  const left = new Set([...state.writers.values()].flatMap((ranks) => [...ranks]))
  for (const rank of ended) if (!left.has(rank)) state.gone.add(rank)
  const complete = [...state.steps].filter((held) => isComplete(options, state, held))
  for (const held of complete) remove(state, held)
  return complete.map((held) => give(options, held))
}

const isComplete = ({ ranks }: Options, { gone }: State, { values }: HeldStep): boolean => {
  let known = values.size
  for (const rank of gone) if (!values.has(rank)) known++
  return known >= ranks
}

const give = ({ by, ranks }: Options, { series, step: number, time, values }: HeldStep): Output => ({
  name: series.name,
  context: { ...series.context, reduce: by, ...(values.size < ranks ? { given: values.size } : {}) },
  step: number,
  value: reduce(by, values),
  time
})

/** In the order of the ranks, so that the sum does not depend on who came first. */
const reduce = (by: Method, values: ReadonlyMap<Rank, number>): number => {
  const ordered = [...values].toSorted(([a], [b]) => compare(a, b)).map(([, value]) => value)
  if (by === "min") return Math.min(...ordered)
  if (by === "max") return Math.max(...ordered)
  const sum = ordered.reduce((a, b) => a + b)
  if (by === "sum") return sum
  // The sum of great values may be infinite where their mean is not.
  return Number.isFinite(sum) ? sum / ordered.length : ordered.reduce((a, b) => a + b / ordered.length, 0)
}

const compare = (a: Rank, b: Rank): number =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : 1

/** The series without the rank, and the rank; each series is split once. */
const splitter = (key: string) => {
  const known = new WeakMap<Series, readonly [Series, Rank]>()
  return (series: Series): readonly [Series, Rank] => {
    const split = known.get(series)
    if (split !== undefined) return split
    const { [key]: rank = "", ...context } = series.context
    const made = [{ name: series.name, context }, rank] as const
    known.set(series, made)
    return made
  }
}
