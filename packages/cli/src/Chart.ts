/**
 * A line of points as characters: braille dots where the terminal has them (2 × 4 to a cell), else ASCII. Fed with the minimum and the
 * maximum of each bucket, it shows the band and its spikes; the mean of a bucket would hide both.
 *
 * NaN is marked on the axis below and breaks the line, an infinity is marked at the edge it lies beyond.
 */
import * as Format from "./Format.ts"
import type { Brush, Paint } from "./Paint.ts"
import { braille, Plot } from "./Plot.ts"
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

/** One run's points in a plot that others share. */
export interface ChartLine {
  readonly points: ChartPoints
  readonly brush: Brush
}

type Look = Omit<ChartOptions, "brush">

/** The plot with its axes, one line a row; a sentence when there is nothing to draw. */
export const render = (points: ChartPoints, { brush, ...look }: ChartOptions): ReadonlyArray<string> =>
  draw([{ points, brush }], frameOf([points]), look)

/** Several lines in one plot. A cell that more than one goes through has the colour of none: without colour they cannot be told apart. */
export const overlay = (lines: ReadonlyArray<ChartLine>, look: Look): ReadonlyArray<string> =>
  draw(lines, frameOf(lines.map(({ points }) => points)), look)

/** A plot for each line, all on the same axes, so that they can be compared one after the other. */
export const separate = (lines: ReadonlyArray<ChartLine>, look: Look): ReadonlyArray<ReadonlyArray<string>> => {
  const frame = frameOf(lines.map(({ points }) => points))
  return lines.map((line) => draw([line], frame, look))
}

/** What the axes show. */
interface Frame {
  /** Least and greatest finite value; `undefined` when there is none. */
  readonly values: readonly [number, number] | undefined
  readonly steps: readonly [number, number]
}

const frameOf = (all: ReadonlyArray<ChartPoints>): Frame => {
  let [low, high] = [Infinity, -Infinity]
  let [from, to] = [Infinity, -Infinity]
  for (const { count, steps, values } of all) {
    for (let i = 0; i < count; i++) {
      const value = values[i] ?? NaN
      const step = steps[i] ?? 0
      from = Math.min(from, step)
      to = Math.max(to, step)
      if (!Number.isFinite(value)) continue
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  }
  return { values: low <= high ? [low, high] : undefined, steps: from <= to ? [from, to] : [0, 0] }
}

const draw = (lines: ReadonlyArray<ChartLine>, { values, steps }: Frame, look: Look): ReadonlyArray<string> => {
  const { paint, unicode, height } = look
  if (values === undefined || !lines.some(({ points }) => points.values.some(Number.isFinite))) {
    return [paint.dim(lines.every(({ points }) => points.count === 0) ? "no points" : "no value is finite")]
  }
  const [low, high] = values
  const range = padded(low, high)
  const ticks = low === high ? [low] : niceTicks(low, high, Math.max(2, Math.round(height / 4)))
  const labels = ticks.map((tick) => tickText(tick, ticks))
  const labelWidth = Math.max(...labels.map((label) => label.length))
  const cells = Math.max(cellsMin, Math.min(cellsDefault, look.width - labelWidth - 2))
  const layers = lines.map(({ points, brush }) => {
    const plot = new Plot(cells, height, steps, range)
    for (const i of byStep(points)) plot.add(points.steps[i] ?? NaN, points.values[i] ?? NaN)
    return { plot, brush, rows: plot.rows(unicode) }
  })
  const [first] = layers
  if (first === undefined) return []
  const labelByRow = new Map(ticks.map((tick, i) => [first.plot.rowOf(tick), labels[i] ?? ""]))
  const [tee, bar, corner] = unicode ? ["┤", "│", "└"] : ["+", "|", "+"]
  const rows = Array.from({ length: height }, (_, r) => {
    const label = labelByRow.get(r)
    const axis = paint.dim(`${Text.padStart(label ?? "", labelWidth)} ${label === undefined ? bar : tee}`)
    const cellsOfRow = layers.map(({ rows: all, brush }) => ({ row: all[r] ?? "", brush }))
    return (axis + painted(cellsOfRow, look)).replace(/ +$/, "")
  })
  const nanCells = new Set(layers.flatMap(({ plot }) => [...plot.nanCells]))
  const [axis, under] = bottom(first.plot, nanCells, unicode)
  const space = " ".repeat(labelWidth + 1)
  return [
    ...rows,
    paint.dim(`${space}${corner}`) +
      axis.map((cell) => (cell === nanMark(unicode) ? paint.red(cell) : paint.dim(cell))).join(""),
    paint.dim(`${space} ${under}`.replace(/ +$/, ""))
  ]
}

const nanMark = (unicode: boolean): string => (unicode ? "×" : "x")

interface Layer {
  readonly row: string
  readonly brush: Brush
}

/** One row of all layers. Marks of infinities stand out of the lines. */
const painted = (layers: ReadonlyArray<Layer>, { paint, unicode }: Look): string => {
  const [first, ...others] = layers
  if (first === undefined) return ""
  const mark = unicode ? /[▲▼]/u : /[\^v]/
  const plain: Brush = (text) => text
  const parts: Array<{ text: string; readonly brush: Brush }> = []
  for (let cell = 0; cell < first.row.length; cell++) {
    let text = first.row[cell] ?? " "
    let brush = text === " " ? plain : first.brush
    for (const { row, brush: other } of others) {
      const over = row[cell] ?? " "
      if (over === " ") continue
      brush = text === " " ? other : plain
      text = text === " " ? over : joined(text, over, mark)
    }
    if (mark.test(text)) brush = paint.red
    const last = parts.at(-1)
    // A blank has any colour: it goes with what is before it, or else behind it.
    if (last !== undefined && (last.brush === brush || text === " ")) last.text += text
    else if (last !== undefined && last.text.trim() === "") parts.splice(-1, 1, { text: last.text + text, brush })
    else parts.push({ text, brush })
  }
  return parts.map(({ text, brush }) => brush(text)).join("")
}

/** The dots of both; where one is a mark, the mark. */
const joined = (a: string, b: string, mark: RegExp): string => {
  if (a === b || mark.test(a)) return a
  if (mark.test(b)) return b
  const [dotsOfA, dotsOfB] = [a.charCodeAt(0) - braille, b.charCodeAt(0) - braille]
  return dotsOfA > 0 && dotsOfB > 0 ? String.fromCharCode(braille + (dotsOfA | dotsOfB)) : "#"
}

/** Indices of the points by step; of one step in the order logged. */
const byStep = ({ count, steps }: ChartPoints): ReadonlyArray<number> => {
  const order = Array.from({ length: count }, (_, i) => i)
  const isSorted = order.every((i) => i === 0 || (steps[i - 1] ?? 0) <= (steps[i] ?? 0))
  return isSorted ? order : order.toSorted((a, b) => (steps[a] ?? 0) - (steps[b] ?? 0) || a - b)
}

/** A flat line runs through the middle. */
const padded = (low: number, high: number): readonly [number, number] => {
  if (low < high) return [low, high]
  const room = low === 0 ? 1 : Math.abs(low) * 0.1
  return [low - room, high + room]
}

/** The axis below the plot, a cell each, and the steps under it. */
const bottom = (
  plot: Plot,
  nanCells: ReadonlySet<number>,
  unicode: boolean
): readonly [ReadonlyArray<string>, string] => {
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
  nanCells.forEach((cell) => (axis[cell] = nanMark(unicode)))
  const name = "step"
  if (free + name.length <= plot.cells) under.splice(plot.cells - name.length, name.length, ...name)
  return [axis, under.join("")]
}
