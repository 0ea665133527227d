/**
 * Rows under a head, in columns that line up: texts to the left, numbers at their decimal point. A table that is wider than the terminal
 * has its texts cut, the longest first; on anything but a terminal only what no line should hold.
 */
import type { Brush, Paint } from "./Paint.ts"
import { marks, type Session } from "./Session.ts"
import * as Text from "./Text.ts"

export interface Column {
  readonly title: string
  /** `decimal`: numbers, at the point. */
  readonly align: "left" | "right" | "decimal"
  /** May be cut down to this many columns where the terminal is narrow; never when left out. */
  readonly shrinkTo?: number
  /** Cut to this many columns wherever it is printed. Default: 200 for what may be cut at all. */
  readonly max?: number
  /** Left out where cutting is not enough: the columns with the greatest number first. Never when left out here. */
  readonly drop?: number
}

export interface Cell {
  readonly text: string
  readonly brush?: Brush
}

export interface TableOptions {
  readonly paint: Paint
  /** Columns of the terminal; infinite where there is none. */
  readonly width: number
  readonly indent?: number
  readonly ellipsis?: string
  /** False: rows only. */
  readonly head?: boolean
}

/** As the terminal shows it. */
export const on = (session: Session["Service"], more: Pick<TableOptions, "indent" | "head"> = {}): TableOptions => ({
  paint: session.paint,
  width: session.columns ?? Infinity,
  ellipsis: marks(session).ellipsis,
  ...more
})

const gap = 2

/** Widest text: what is longer is for `--json`. */
export const textColumnsMax = 200

/** Widest name, which pads every row. */
export const nameColumnsMax = 60

/** One line a row. Cells are printable texts already; a missing one is empty. */
export const render = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string | Cell>>,
  options: TableOptions
): ReadonlyArray<string> => {
  const { paint, width, indent = 0, ellipsis = "…", head = true } = options
  const cells = rows.map((row) => columns.map((_, i) => toCell(row[i])))
  const aligned = columns.map((column, i) => {
    const texts = cells.map((row) => row[i]?.text ?? "")
    return column.align === "decimal" ? atPoint(texts) : texts
  })
  const widths = columns.map(({ title, shrinkTo, max = shrinkTo === undefined ? Infinity : textColumnsMax }, i) =>
    Math.min(
      max,
      (aligned[i] ?? []).map(Text.width).reduce((a, b) => Math.max(a, b), head ? Text.width(title) : 0)
    )
  )
  const available = width - indent - gap * (columns.length - 1)
  const dropped = toDrop(columns, widths, available)
  if (dropped !== undefined) {
    const rest = (_: unknown, i: number) => columns[i]?.drop !== dropped
    return render(
      columns.filter(rest),
      cells.map((row) => row.filter(rest)),
      options
    )
  }
  shrink(columns, widths, available)
  const line = (texts: ReadonlyArray<Cell>) =>
    " ".repeat(indent) + joined(texts.map((cell, i) => pad(cell, columns[i], widths[i] ?? 0, ellipsis)))
  const body = cells.map((row, at) => line(row.map((cell, i) => ({ ...cell, text: aligned[i]?.[at] ?? "" }))))
  return head ? [line(columns.map(({ title }) => ({ text: title, brush: paint.dim }))), ...body] : body
}

const toCell = (cell: string | Cell | undefined): Cell => (typeof cell === "object" ? cell : { text: cell ?? "" })

/** Spaces at the end of a line are nobody's. */
const joined = (cells: ReadonlyArray<string>): string => cells.join(" ".repeat(gap)).replace(/ +$/, "")

const pad = ({ text, brush }: Cell, column: Column | undefined, width: number, ellipsis: string): string => {
  const cut = Text.fit(text, width, ellipsis)
  const space = " ".repeat(Math.max(0, width - Text.width(cut)))
  const painted = brush === undefined ? cut : brush(cut)
  return column === undefined || column.align === "left" ? painted + space : space + painted
}

/** Fills numbers behind their point, so that they line up when aligned to the right. */
const atPoint = (texts: ReadonlyArray<string>): ReadonlyArray<string> => {
  const behind = (text: string) => (text.includes(".") ? text.length - text.indexOf(".") : 0)
  const longest = Math.max(0, ...texts.map(behind))
  return texts.map((text) => text + " ".repeat(longest - behind(text)))
}

/** The `drop` of the columns to leave out, where the rest may then fit. */
const toDrop = (
  columns: ReadonlyArray<Column>,
  widths: ReadonlyArray<number>,
  available: number
): number | undefined => {
  const least = columns.reduce((sum, { shrinkTo }, i) => sum + Math.min(widths[i] ?? 0, shrinkTo ?? Infinity), 0)
  if (least <= available) return undefined
  const greatest = Math.max(...columns.map(({ drop }) => drop ?? 0))
  return greatest === 0 ? undefined : greatest
}

const shrink = (columns: ReadonlyArray<Column>, widths: Array<number>, available: number): void => {
  let excess = widths.reduce((sum, width) => sum + width, 0) - available
  while (excess > 0) {
    let widest = -1
    for (const [i, { shrinkTo }] of columns.entries()) {
      const width = widths[i] ?? 0
      if (shrinkTo !== undefined && width > shrinkTo && width > (widths[widest] ?? 0)) widest = i
    }
    if (widest < 0) return
    widths[widest] = (widths[widest] ?? 0) - 1
    excess--
  }
}
