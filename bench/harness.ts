/**
 * What all benches share: subjects measured in interleaved rounds of one run, since machines are noisy and only ratios of one run can be
 * trusted; the median is the figure. Prints rows of a Markdown table.
 */
import { cpus } from "node:os"

/** Rounds of each subject; `ROUNDS=15` for quieter figures. */
const rounds = Math.max(1, Number(process.env["ROUNDS"] ?? 7))

export interface Subject {
  readonly name: string
  /** One measurement, in the unit of the comparison. */
  readonly measure: () => Promise<number> | number
}

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
  return subjects.map(({ name }, i) => {
    const measured = values[i] ?? []
    return { name, median: median(measured), least: Math.min(...measured), most: Math.max(...measured) }
  })
}

const round = (value: number): string => {
  if (value >= 100) return Math.round(value).toLocaleString("en")
  return String(Number(value.toPrecision(3)))
}

/** One row: the first figure, what it is measured beside, the ratio of the two, and the goal. */
export const printRow = (what: string, unit: string, figures: ReadonlyArray<Figure>, goal: string): void => {
  const [subject, ...references] = figures
  if (subject === undefined) return
  const spread = `${round(subject.median)} (${round(subject.least)}–${round(subject.most)})`
  const beside = references.map((figure) => `${figure.name}: ${round(figure.median)}`).join("; ")
  const ratio = references[0] === undefined ? "" : `${round(subject.median / references[0].median)} ×`
  console.log(`| ${what} | ${unit} | ${spread} | ${goal} | ${beside} | ${ratio} |`)
}

/** The head of the table, and the machine it was measured on. */
export const printHead = (counted: number = rounds): void => {
  const model = cpus()[0]?.model ?? "unknown"
  console.log(
    `Node ${process.versions.node}, ${process.platform}-${process.arch}, ${cpus().length} × ${model}; median (least–most) of ${counted} rounds\n`
  )
  console.log("| what | unit | measured | goal | beside, in the same rounds | ratio |")
  console.log("| --- | --- | --- | --- | --- | --- |")
}
