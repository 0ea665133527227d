/**
 * What all benches share: subjects measured in interleaved rounds of one run, since machines are noisy and only ratios of one run can be
 * trusted; the median is the figure. Prints rows of a Markdown table.
 */
import { cpus } from "node:os"

/** Rounds of each subject; `ROUNDS=15` for quieter figures. */
export const rounds = Math.max(1, Number(process.env["ROUNDS"] ?? 7))

export interface Subject {
  readonly name: string
  /** One measurement, in the unit of the comparison. */
  readonly measure: () => Promise<number> | number
}

/** Median, least and most of values that were measured elsewhere. */
export const figure = (name: string, values: ReadonlyArray<number>): Figure => ({
  name,
  median: median(values),
  least: Math.min(...values),
  most: Math.max(...values)
})

export interface Figure {
  readonly name: string
  readonly median: number
  readonly least: number
  readonly most: number
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}

/** Measures A B C, A B C, … after one round that does not count. */
export const interleave = async (subjects: ReadonlyArray<Subject>): Promise<ReadonlyArray<Figure>> => {
  const values = subjects.map((): Array<number> => [])
  for (let round = -1; round < rounds; round++) {
    for (const [i, subject] of subjects.entries()) {
      const value = await subject.measure()
      if (round >= 0) values[i]?.push(value)
    }
  }
  return subjects.map(({ name }, i) => figure(name, values[i] ?? []))
}

const round = (value: number): string => {
  if (value >= 100) return Math.round(value).toLocaleString("en")
  return String(Number(value.toPrecision(3)))
}

/**
 * What a goal says: `≤ 150`, `≥ 0.3`, `0.8–1.2`; with ` ×` behind it the ratio is meant, else the figure. "" is no goal.
 */
export const verdict = (goal: string, value: number, ratio: number): "" | "met" | "missed" => {
  const [, sign, least, most = least, times] = /^([≤≥])? ?([\d.,]+)(?:–([\d.,]+))?( ×)?/.exec(goal) ?? []
  if (least === undefined || most === undefined) return ""
  const measured = times === undefined ? value : ratio
  const isAbove = sign === "≤" || measured >= Number(least.replaceAll(",", ""))
  const isBelow = sign === "≥" || measured <= Number(most.replaceAll(",", ""))
  return isAbove && isBelow ? "met" : "missed"
}

/** One row: the first figure, what it is measured beside, the ratio of the two, the goal, and whether it is met. */
export const printRow = (what: string, unit: string, figures: ReadonlyArray<Figure>, goal: string): void => {
  const [subject, ...references] = figures
  if (subject === undefined) return
  const spread = `${round(subject.median)} (${round(subject.least)}–${round(subject.most)})`
  const beside = references.map((reference) => `${reference.name}: ${round(reference.median)}`).join("; ")
  const ratio = references[0] === undefined ? NaN : subject.median / references[0].median
  const shown = Number.isNaN(ratio) ? "" : `${round(ratio)} ×`
  console.log(
    `| ${what} | ${unit} | ${spread} | ${goal} | ${verdict(goal, subject.median, ratio)} | ${beside} | ${shown} |`
  )
}

/** The head of the table, and the machine it was measured on. */
export const printHead = (counted: number = rounds): void => {
  const model = cpus()[0]?.model ?? "unknown"
  console.log(
    `Node ${process.versions.node}, ${process.platform}-${process.arch}, ${cpus().length} × ${model}; median (least–most) of ${counted} rounds\n`
  )
  console.log("| what | unit | measured | goal | verdict | beside, in the same rounds | ratio |")
  console.log("| --- | --- | --- | --- | --- | --- | --- |")
}
