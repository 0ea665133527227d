/**
 * The dots of a chart: points become spans of dots in half columns, and spans become characters, braille or ASCII.
 */

/** The braille cell without dots. */
export const braille = 0x2800

/** Bits of a braille cell, by row and half column: `braille` + bits. */
const dots = [
  [1, 8],
  [2, 16],
  [4, 32],
  [64, 128]
] as const

/** Dots, as one span for each half column: the line is a function of the step, so what lies between two of its points is filled. */
export class Plot {
  readonly cells: number
  readonly height: number
  readonly steps: readonly [number, number]
  readonly nanCells = new Set<number>()
  private readonly range: readonly [number, number]
  private readonly low: Float64Array
  private readonly high: Float64Array
  private readonly above = new Set<number>()
  private readonly below = new Set<number>()
  /** The last finite point, where the line has not been broken since. */
  private last: readonly [number, number] | undefined
  private lastNan: number | undefined

  constructor(cells: number, height: number, stepRange: readonly [number, number], range: readonly [number, number]) {
    this.cells = cells
    this.height = height
    this.steps = stepRange
    this.range = range
    this.low = new Float64Array(2 * cells).fill(Infinity)
    this.high = new Float64Array(2 * cells).fill(-Infinity)
  }

  /** The half column of a step. */
  columnOf(step: number): number {
    const [from, to] = this.steps
    return from === to ? this.cells : Math.round(((step - from) / (to - from)) * (2 * this.cells - 1))
  }

  /** The dot of a value, from the bottom. Halves first: the difference of two finite values may not be finite. */
  private dotOf(value: number): number {
    const [low, high] = this.range
    return Math.round(((value / 2 - low / 2) / (high / 2 - low / 2)) * (4 * this.height - 1))
  }

  /** The row of a value, from the top. */
  rowOf(value: number): number {
    return this.height - 1 - Math.floor(this.dotOf(value) / 4)
  }

  /** Points come by step, ascending. */
  add(step: number, value: number): void {
    const column = this.columnOf(step)
    if (Number.isFinite(value)) {
      const dot = this.dotOf(value)
      this.join(column, dot)
      this.last = [column, dot]
      this.lastNan = undefined
      return
    }
    this.last = undefined
    const cell = Math.floor(column / 2)
    if (Number.isNaN(value)) {
      for (let c = this.lastNan ?? cell; c <= cell; c++) this.nanCells.add(c)
      this.lastNan = cell
    } else {
      this.lastNan = undefined
      ;(value > 0 ? this.above : this.below).add(cell)
    }
  }

  /** Draws from the last point to this one: in each column the part of the way that lies in it. */
  private join(column: number, dot: number): void {
    this.span(column, dot, dot)
    if (this.last === undefined) return
    const [fromColumn, fromDot] = this.last
    if (fromColumn === column) return this.span(column, Math.min(fromDot, dot), Math.max(fromDot, dot))
    const at = (c: number) =>
      fromDot + ((Math.max(fromColumn, Math.min(column, c)) - fromColumn) / (column - fromColumn)) * (dot - fromDot)
    for (let c = fromColumn; c <= column; c++) {
      const [a, b] = [Math.round(at(c - 0.5)), Math.round(at(c + 0.5))]
      this.span(c, Math.min(a, b), Math.max(a, b))
    }
  }

  private span(column: number, low: number, high: number): void {
    this.low[column] = Math.min(this.low[column] ?? low, low)
    this.high[column] = Math.max(this.high[column] ?? high, high)
  }

  /** From the top, each as wide as the plot. */
  rows(unicode: boolean): ReadonlyArray<string> {
    return Array.from({ length: this.height }, (_, row) =>
      Array.from({ length: this.cells }, (_unused, cell) => {
        if (row === 0 && this.above.has(cell)) return unicode ? "▲" : "^"
        if (row === this.height - 1 && this.below.has(cell)) return unicode ? "▼" : "v"
        const bits = this.bits(row, cell)
        if (bits === 0) return " "
        return unicode ? String.fromCharCode(braille + bits) : ascii(bits)
      }).join("")
    )
  }

  private bits(row: number, cell: number): number {
    let bits = 0
    for (const half of [0, 1] as const) {
      const low = this.low[2 * cell + half] ?? Infinity
      const high = this.high[2 * cell + half] ?? -Infinity
      for (const [r, dot] of dots.entries()) {
        const y = 4 * (this.height - row) - 1 - r
        if (y >= low && y <= high) bits |= dot[half]
      }
    }
    return bits
  }
}

/** What comes nearest to the dots of a cell: three rows or more, both halves, the upper, the lower. */
const ascii = (bits: number): string => {
  const rows = dots.map(([left, right]) => (bits & (left | right)) !== 0)
  if (rows.filter(Boolean).length >= 3) return "#"
  const upper = rows[0] === true || rows[1] === true
  const lower = rows[2] === true || rows[3] === true
  return upper && lower ? ":" : upper ? "'" : "."
}
