/** What the first `total` calls of trainer.py log, series by series, and how what the store has differs from it. */

import { count, keyOf, type Columns, type SeriesKey } from "../folder/stored.ts"

const keys: ReadonlyArray<SeriesKey> = [
  keyOf("loss", {}),
  keyOf("late", {}),
  keyOf("Güte/π", {}),
  keyOf("val", { subset: "val" })
]
const oddities: ReadonlyArray<number> = [NaN, Infinity, -Infinity, -0]

const valueOf = (i: number) =>
  i % 997 === 0 ? (oddities[(i / 997) % 4] ?? 0) : (Math.imul(i, 2654435761) >>> 0) / 1024 - 1e6

/** What the first `total` calls log. */
export const points = (total: number): ReadonlyMap<SeriesKey, Columns> => {
  const columns = keys.map((key) => ({ key, steps: new Array<number>(), values: new Array<number>() }))
  for (let i = 0; i < total; i++) {
    const series = columns[i % keys.length]
    const step = Math.floor(i / keys.length)
    // The steps of `late` fall; 0 stays 0.
    series?.steps.push(series.key === keys[1] ? 0 - step : step)
    series?.values.push(valueOf(i))
  }
  return new Map(columns.filter(({ steps }) => steps.length > 0).map(({ key, ...rest }) => [key, rest]))
}

export type Finding =
  /** Acknowledged and not in the store, or something before it is missing. */
  | { readonly _tag: "lost"; readonly detail: string }
  | { readonly _tag: "doubled"; readonly detail: string }
  | { readonly _tag: "out of order"; readonly detail: string }
  /** A value, step, name or context that nobody logged. */
  | { readonly _tag: "altered"; readonly detail: string }
  /** More than the one point that was under way. */
  | { readonly _tag: "surplus"; readonly detail: string }
  | { readonly _tag: "wrong status"; readonly detail: string }
  | { readonly _tag: "dead letter"; readonly detail: string }
  | { readonly _tag: "hang"; readonly detail: string }

const same = (found: Columns, i: number, wanted: Columns, j: number) =>
  found.steps[i] === wanted.steps[j] && Object.is(found.values[i], wanted.values[j])

/** Says in one word what is wrong where `found` leaves `wanted`. */
const compareSeries = (key: SeriesKey, found: Columns, wanted: Columns): Finding | undefined => {
  const length = Math.min(found.steps.length, wanted.steps.length)
  for (let i = 0; i < length; i++) {
    if (same(found, i, wanted, i)) continue
    const detail = `${key}: point ${i} is step ${found.steps[i]}, ${found.values[i]}`
    const there = Array.from(wanted.steps).findIndex((_, j) => same(found, i, wanted, j))
    if (there < 0) return { _tag: "altered", detail: `${detail}; logged was ${wanted.steps[i]}, ${wanted.values[i]}` }
    if (there < i) return { _tag: "doubled", detail: `${detail}, as point ${there} is` }
    const isLater = Array.from(found.steps).some((_, j) => j > i && same(found, j, wanted, i))
    return { _tag: isLater ? "out of order" : "lost", detail: `${detail}; step ${wanted.steps[i]} is to come first` }
  }
  if (found.steps.length < wanted.steps.length) {
    return { _tag: "lost", detail: `${key}: ${wanted.steps.length - found.steps.length} points at its end` }
  }
  if (found.steps.length === wanted.steps.length) return undefined
  const isKnown = Array.from(wanted.steps).some((_, j) => same(found, length, wanted, j))
  return { _tag: isKnown ? "doubled" : "surplus", detail: `${key}: ${found.steps.length - length} points more` }
}

/**
 * Compares with the store: the first `acknowledged` calls must be there, and one more may be, the one under way.
 * Exactly these: each once, in order, bit for bit (but for the bits inside a NaN).
 */
export const compare = (found: ReadonlyMap<SeriesKey, Columns>, acknowledged: number): ReadonlyArray<Finding> => {
  const total = count(found)
  const wanted = points(total === acknowledged + 1 ? total : acknowledged)
  const none: Columns = { steps: [], values: [] }
  return [...new Set([...wanted.keys(), ...found.keys()])].flatMap((key) => {
    const finding = compareSeries(key, found.get(key) ?? none, wanted.get(key) ?? none)
    return finding === undefined ? [] : [finding]
  })
}
