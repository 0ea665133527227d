/**
 * A line of points as characters: braille dots where the terminal has them (2 × 4 to a cell), else ASCII. Fed with the minimum and the
 * maximum of each bucket, it shows the band and its spikes; the mean of a bucket would hide both.
 *
 * NaN is marked on the axis below and breaks the line, an infinity is marked at the edge it lies beyond.
 */
import * as Format from "./Format.ts"
import type { Brush, Paint } from "./Paint.ts"
import { Plot } from "./Plot.ts"
import * as Text from "./Text.ts"
import { niceTicks, tickText } from "./Ticks.ts"

export interface ChartPoints {
  readonly count: number
  readonly steps: Float64Array
  readonly values: Float64Array
}

export interface ChartOptions {
  /** Columns in all, the labels among them. */
  readonly width: number
  /** Rows of the plot. */
  readonly height: number
  readonly unicode: boolean
  readonly paint: Paint
  /** Of the line. */
  readonly brush: Brush
}

/** Cells of the plot where the terminal is wide enough. */
export const cellsDefault = 88
export const rowsDefault = 16
const cellsMin = 16

/**
 * How many buckets of points a plot that is `width` wide should be fed with. One for each half column would do if their edges met; they do
 * not, and a column that gets the minimum of one bucket and the maximum of none looks like a comb.
 */
export const bucketsFor = (width: number): number => 8 * Math.max(cellsMin, Math.min(cellsDefault, width))

/** The plot with its axes, one line a row; a sentence when there is nothing to draw. */
export const render = (points: ChartPoints, options: ChartOptions): ReadonlyArray<string> => {
  const { paint, unicode, height } = options
  const order = byStep(points)
  const finite = order.map((i) => points.values[i] ?? NaN).filter(Number.isFinite)
  if (finite.length === 0) return [paint.dim(points.count === 0 ? "no points" : "no value is finite")]
  const [low, high] = [Math.min(...finite), Math.max(...finite)]
  const range = padded(low, high)
  const ticks = low === high ? [low] : niceTicks(low, high, Math.max(2, Math.round(height / 4)))
  const labels = ticks.map((tick) => tickText(tick, ticks))
  const labelWidth = Math.max(...labels.map((label) => label.length))
  const cells = Math.max(cellsMin, Math.min(cellsDefault, options.width - labelWidth - 2))
  const plot = new Plot(cells, height, stepRange(points, order), range)
  for (const i of order) plot.add(points.steps[i] ?? NaN, points.values[i] ?? NaN)
  const labelByRow = new Map(ticks.map((tick, i) => [plot.rowOf(tick), labels[i] ?? ""]))
  const [tee, bar, corner] = unicode ? ["┤", "│", "└"] : ["+", "|", "+"]
  const lines = plot.rows(unicode).map((row, r) => {
    const label = labelByRow.get(r)
    const axis = paint.dim(`${Text.padStart(label ?? "", labelWidth)} ${label === undefined ? bar : tee}`)
    return (axis + painted(row, options)).replace(/ +$/, "")
  })
  const [axis, under] = bottom(plot, unicode)
  const space = " ".repeat(labelWidth + 1)
  return [
    ...lines,
    paint.dim(`${space}${corner}`) +
      axis.map((cell) => (cell === nanMark(unicode) ? paint.red(cell) : paint.dim(cell))).join(""),
    paint.dim(`${space} ${under}`.replace(/ +$/, ""))
  ]
}

const nanMark = (unicode: boolean): string => (unicode ? "×" : "x")

/** Marks of infinities stand out of the line. */
const painted = (row: string, { brush, paint }: ChartOptions): string =>
  row
    .split(/([▲▼^v]+)/u)
    .map((part) => (/[▲▼^v]/u.test(part) ? paint.red(part) : /^ *$/.test(part) ? part : brush(part)))
    .join("")

/** Indices of the points by step; of one step in the order logged. */
const byStep = ({ count, steps }: ChartPoints): ReadonlyArray<number> => {
  const order = Array.from({ length: count }, (_, i) => i)
  const isSorted = order.every((i) => i === 0 || (steps[i - 1] ?? 0) <= (steps[i] ?? 0))
  return isSorted ? order : order.toSorted((a, b) => (steps[a] ?? 0) - (steps[b] ?? 0) || a - b)
}

const stepRange = (points: ChartPoints, order: ReadonlyArray<number>): readonly [number, number] => [
  points.steps[order[0] ?? 0] ?? 0,
  points.steps[order.at(-1) ?? 0] ?? 0
]

/** A flat line runs through the middle. */
const padded = (low: number, high: number): readonly [number, number] => {
  if (low < high) return [low, high]
  const room = low === 0 ? 1 : Math.abs(low) * 0.1
  return [low - room, high + room]
}

/** The axis below the plot, a cell each, and the steps under it. */
const bottom = (plot: Plot, unicode: boolean): readonly [ReadonlyArray<string>, string] => {
  const axis: Array<string> = Array.from({ length: plot.cells }, () => (unicode ? "─" : "-"))
  const under: Array<string> = Array.from({ length: plot.cells }, () => " ")
  let free = 0
  const [from, to] = plot.steps
  for (const tick of niceTicks(from, to, 6).filter(Number.isInteger)) {
    const text = Format.compact(tick)
    const cell = Math.floor(plot.columnOf(tick) / 2)
    const start = Math.max(0, Math.min(plot.cells - text.length, cell - Math.floor(text.length / 2)))
    if (start < free) continue
    axis[cell] = unicode ? "┬" : "+"
    under.splice(start, text.length, ...text)
    free = start + text.length + 2
  }
  plot.nanCells.forEach((cell) => (axis[cell] = nanMark(unicode)))
  const name = "step"
  if (free + name.length <= plot.cells) under.splice(plot.cells - name.length, name.length, ...name)
  return [axis, under.join("")]
}
