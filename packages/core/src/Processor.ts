/**
 * The contract of a processor, and the pure ones: filter, rename, sample.
 *
 * Laws:
 * 1. Pure: the same batch gives the same batch, whenever and wherever it runs. What needs memory between batches is a
 *    `StatefulProcessor`, over a derived journal.
 * 2. It never invents events and keeps their order and identity.
 * 3. Id, version and config are pinned in the cursor at the first delivery of a run: changing one changes new runs only.
 */
import type { JsonObject } from "./JsonObject.ts"
import { select, type PointBatch, type RunEvent } from "./RunEvent.ts"
import type { Series } from "./Series.ts"

export interface Processor {
  readonly id: string
  readonly version: string
  readonly config: JsonObject
  /** The event as backends see it, or `undefined` to leave it out. */
  readonly apply: (event: RunEvent) => RunEvent | undefined
}

/** Keeps the points whose series' name `pattern` matches, and everything that is not a point. */
export const keep = (pattern: string): Processor => {
  const matches = compile(pattern)
  return {
    id: "processor.keep",
    version: "1",
    config: { pattern },
    apply: (event) => {
      if (event._tag !== "PointBatch") return event
      const kept = select(event, (i) => matches.test(event.table.get(event.series[i] ?? -1)?.name ?? ""))
      return kept.count === 0 ? undefined : kept
    }
  }
}

/**
 * Renames series: keys are patterns over whole names, values are replacements with `$1`, `$2` for groups; the first that matches
 * decides.
 *
 * @example
 * ```ts
 * Processor.rename({ "train_(.*)": "train/$1" })
 * ```
 */
export const rename = (rules: { readonly [pattern: string]: string }): Processor => {
  const compiled = Object.entries(rules).map(([pattern, replacement]) => ({ matches: compile(pattern), replacement }))
  const renamed = (series: Series): Series => {
    const rule = compiled.find(({ matches }) => matches.test(series.name))
    return rule === undefined ? series : { ...series, name: series.name.replace(rule.matches, rule.replacement) }
  }
  return {
    id: "processor.rename",
    version: "1",
    config: rules,
    apply: (event) => (event._tag === "PointBatch" ? { ...event, table: mapTable(event, renamed) } : event)
  }
}

/** Keeps about `fraction` (0 to 1) of the points, chosen by a hash of their identity: the same ones on every host and every resend. */
export const sample = (fraction: number): Processor => ({
  id: "processor.sample",
  version: "1",
  config: { fraction },
  apply: (event) => {
    if (event._tag !== "PointBatch") return event
    const kept = select(event, (i) => hash(event.positions[i] ?? 0, event.indices[i] ?? 0) < fraction)
    return kept.count === 0 ? undefined : kept
  }
})

const compile = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`, "u")

const mapTable = (batch: PointBatch, f: (series: Series) => Series): PointBatch["table"] => {
  const table = new Map<number, Series>()
  for (const [number, series] of batch.table) table.set(number, f(series))
  return table
}

/** A number in [0, 1) from a position and an index: two rounds of multiply and xor-shift (the finaliser of MurmurHash3). */
const hash = (position: number, index: number): number => {
  let h = (position >>> 0) ^ Math.imul(Math.floor(position / 2 ** 32) ^ index, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}
