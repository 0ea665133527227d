/** What the calls of a trainer or an app log, series by series, and what the oracle says of what became of them. */
import * as Oracle from "../../packages/core/test/support/oracle.ts"
import { keyOf, type Columns, type SeriesKey } from "../folder/stored.ts"

const oddities: ReadonlyArray<number> = [NaN, Infinity, -Infinity, -0]

const valueOf = (i: number) =>
  i % 997 === 0 ? (oddities[(i / 997) % 4] ?? 0) : (Math.imul(i, 2654435761) >>> 0) / 1024 - 1e6

export interface Call {
  readonly name: string
  readonly context: { readonly [key: string]: string | number }
  readonly step: number
  readonly value: number
}

const names = ["loss", "late", "Güte/π", "val"] as const

/** Call number `i` of a writer; a writer among several says which it is. programs/trainer.py logs the same. */
export const call = (i: number, worker?: number): Call => {
  const name = names[i % names.length] ?? names[0]
  const step = Math.floor(i / names.length)
  return {
    name,
    context: { ...(name === "val" ? { subset: "val" } : {}), ...(worker === undefined ? {} : { worker }) },
    // The steps of `late` fall; 0 stays 0.
    step: name === "late" ? 0 - step : step,
    value: valueOf(i)
  }
}

/** What the first `total` calls log. */
export const points = (total: number, worker?: number): ReadonlyMap<SeriesKey, Columns> => {
  const columns = names.map((_, i) => {
    const { context, name } = call(i, worker)
    return { key: keyOf(name, context), steps: new Array<number>(), values: new Array<number>() }
  })
  for (let i = 0; i < total; i++) {
    const { step, value } = call(i, worker)
    const series = columns[i % names.length]
    series?.steps.push(step)
    series?.values.push(value)
  }
  return new Map(columns.filter(({ steps }) => steps.length > 0).map(({ key, ...rest }) => [key, rest]))
}

export type Finding =
  /** Acknowledged and neither delivered nor kept. */
  | { readonly _tag: "lost"; readonly detail: string }
  | { readonly _tag: "doubled"; readonly detail: string }
  | { readonly _tag: "out of order"; readonly detail: string }
  /** A value, step, name or context that nobody logged, or more than was. */
  | { readonly _tag: "altered"; readonly detail: string }
  | { readonly _tag: "wrong status"; readonly detail: string }
  | { readonly _tag: "dead letter"; readonly detail: string }
  | { readonly _tag: "hang"; readonly detail: string }
  /** It did what it should not, in other words than these. */
  | { readonly _tag: "amiss"; readonly detail: string }

/** What one writer did. */
export interface Logged {
  /** Calls that it was told are safe. */
  readonly acknowledged: number
  /** Calls it had begun: what is beyond the acknowledged ones may be there or not. */
  readonly begun: number
  readonly worker?: number
}

const none: Columns = { steps: [], values: [] }

/** A text tells -0 from 0, and one NaN is as good as another. */
const said = ({ steps, values }: Columns): ReadonlyArray<Oracle.Said> =>
  Array.from(steps, (step, i) => `step ${step}, ${Object.is(values[i], -0) ? "-0" : values[i]}`)

const tagOf = (finding: string): "lost" | "doubled" | "out of order" | "altered" =>
  finding.startsWith("lost")
    ? "lost"
    : finding.startsWith("out of order")
      ? "out of order"
      : finding.startsWith("invented")
        ? "altered"
        : "doubled"

/**
 * Asks the oracle of each series: is what was acknowledged there or in the dead letter, each once, in order and unaltered, and
 * nothing else? One finding of a kind for each series, which shows the first of its points.
 */
export const compare = (
  found: ReadonlyMap<SeriesKey, Columns>,
  writers: ReadonlyArray<Logged>,
  dead: ReadonlyMap<SeriesKey, Columns> = new Map()
): ReadonlyArray<Finding> => {
  const begun = new Map(writers.flatMap(({ begun: total, worker }) => [...points(total, worker)]))
  const acknowledged = new Map(writers.flatMap(({ acknowledged: total, worker }) => [...points(total, worker)]))
  return [...new Set([...begun.keys(), ...found.keys(), ...dead.keys()])].flatMap((key) => {
    const findings = Oracle.findings({
      logged: said(begun.get(key) ?? none),
      acknowledged: acknowledged.get(key)?.steps.length ?? 0,
      delivered: said(found.get(key) ?? none),
      dead: said(dead.get(key) ?? none),
      kept: []
    })
    return [...Map.groupBy(findings, tagOf)].map(([_tag, alike]): Finding => ({
      _tag,
      detail: `${key}: ${alike.length} points, the first: ${alike[0] ?? ""}`
    }))
  })
}
