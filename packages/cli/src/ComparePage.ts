/**
 * What two runs have in common and where they differ, and the page that `tracelet compare` prints of it. Pure: from what was read to lines.
 */
import type { Points } from "@tracelet/backend-local/LocalReader"
import { isJsonObject, type Json as JsonValue } from "@tracelet/core/JsonObject"
import * as Chart from "./Chart.ts"
import { facts } from "./commands/Runs.ts"
import { sortedContext } from "./ExportLines.ts"
import * as Format from "./Format.ts"
import * as Json from "./Json.ts"
import type * as Output from "./Output.ts"
import type { Brush } from "./Paint.ts"
import type { Report } from "./Report.ts"
import { marks, type Session } from "./Session.ts"
import { contextText } from "./ContextText.ts"
import { widthDefault } from "./ShowPage.ts"
import * as Table from "./Table.ts"
import * as Text from "./Text.ts"

type Terminal = Session["Service"]

// ---- what is compared ----

/** Every param of either, by key; nested ones by their path, as services that hold no nested ones have them. */
export const compareParams = (
  a: ReadonlyMap<string, JsonValue>,
  b: ReadonlyMap<string, JsonValue>
): ReadonlyArray<Output.ComparedParam> => {
  const [ofA, ofB] = [flat(a), flat(b)]
  const keys = [...new Set([...ofA.keys(), ...ofB.keys()])].toSorted()
  return keys.map((key) => {
    const [valueA, valueB] = [ofA.get(key), ofB.get(key)]
    return {
      key,
      ...(valueA === undefined ? {} : { a: valueA }),
      ...(valueB === undefined ? {} : { b: valueB }),
      differs: valueA === undefined || valueB === undefined || Json.stringify(valueA) !== Json.stringify(valueB)
    }
  })
}

const flat = (params: ReadonlyMap<string, JsonValue>): ReadonlyMap<string, JsonValue> => {
  const leaves = new Map<string, JsonValue>()
  const visit = (path: string, value: JsonValue): void => {
    const entries = isJsonObject(value) ? Object.entries(value) : []
    if (entries.length === 0) leaves.set(path, value)
    for (const [key, part] of entries) visit(`${path}/${key}`, part)
  }
  for (const [key, value] of params) visit(key, value)
  return leaves
}

type SeriesName = Pick<Output.Series, "name" | "context">

const keyOf = ({ name, context }: SeriesName): string => `${name}\u0000${Json.stringify(sortedContext(context))}`

/** Whether another is the same series. */
export const isSeries = (one: SeriesName): ((other: SeriesName) => boolean) => {
  const key = keyOf(one)
  return (other) => keyOf(other) === key
}

/** Every series of either, by name, then by context. */
export const compareSeries = (
  a: ReadonlyArray<Output.Series>,
  b: ReadonlyArray<Output.Series>
): ReadonlyArray<Output.ComparedSeries> => {
  const [ofA, ofB] = [new Map(a.map((one) => [keyOf(one), one])), new Map(b.map((one) => [keyOf(one), one]))]
  const keys = [...new Set([...ofA.keys(), ...ofB.keys()])].toSorted()
  return keys.flatMap((key) => {
    const [seriesA, seriesB] = [ofA.get(key), ofB.get(key)]
    const either = seriesA ?? seriesB
    if (either === undefined) return []
    const difference =
      seriesA === undefined || seriesB === undefined
        ? null
        : {
            last: seriesB.last.value - seriesA.last.value,
            min: seriesB.min - seriesA.min,
            max: seriesB.max - seriesA.max
          }
    return [{ name: either.name, context: either.context, a: summary(seriesA), b: summary(seriesB), difference }]
  })
}

const summary = (series: Output.Series | undefined): Output.ComparedSeries["a"] => {
  if (series === undefined) return null
  const { points, nans, min, max, last } = series
  return { points, nans, min, max, last }
}

// ---- the page ----

export interface Charted {
  readonly series: Output.ComparedSeries
  readonly a: Points
  readonly b: Points
}

export interface Page {
  readonly a: Report
  readonly b: Report
  readonly params: ReadonlyArray<Output.ComparedParam>
  readonly series: ReadonlyArray<Output.ComparedSeries>
  readonly charts: ReadonlyArray<Charted>
  /** Seconds since the Unix epoch. */
  readonly now: number
  readonly isWhole: boolean
}

export const render = (page: Page, session: Terminal): ReadonlyArray<string> => {
  const shared = page.series.filter(({ difference }) => difference !== null).length
  const left = shared - page.charts.length
  const more = `${Format.plural(left, "more series", "more series")} of both: --all draws them, --series PATTERN chooses.`
  const sections = [
    head(page, session),
    params(page, session),
    series(page, session),
    ...page.charts.map((charted) => chart(charted, session)),
    left > 0 ? [session.paint.dim(more)] : []
  ]
  return sections.filter((lines) => lines.length > 0).flatMap((lines, i) => (i === 0 ? lines : ["", ...lines]))
}

const brushes = ({ paint }: Terminal): { readonly a: Brush; readonly b: Brush } => ({
  a: (text) => paint.bold(paint.cyan(text)),
  b: (text) => paint.bold(paint.yellow(text))
})

/** A run a line. */
const head = ({ a, b, now }: Page, session: Terminal): ReadonlyArray<string> => {
  const { paint } = session
  const brush = brushes(session)
  const columns: ReadonlyArray<Table.Column> = [
    { title: "", align: "left" },
    { title: "name", align: "left", shrinkTo: 12 },
    { title: "project", align: "left", shrinkTo: 8, drop: 2 },
    { title: "status", align: "left" },
    { title: "started", align: "left", drop: 3 },
    { title: "took", align: "right", drop: 4 },
    { title: "points", align: "right", drop: 1 },
    { title: "id", align: "left" }
  ]
  const row = (letter: "A" | "B", own: Brush, run: Report) => [
    { text: letter, brush: own },
    { text: Text.printable(run.name), brush: own },
    ...facts(run, now, session),
    { text: run.id.slice(0, 8), brush: paint.dim }
  ]
  return Table.render(columns, [row("A", brush.a, a), row("B", brush.b, b)], Table.on(session))
}

/** What a run does not have. */
const none = ({ unicode }: Terminal): string => (unicode ? "–" : "-")

const params = ({ params: all, isWhole }: Page, session: Terminal): ReadonlyArray<string> => {
  if (all.length === 0) return []
  const { paint } = session
  const brush = brushes(session)
  const differing = all.filter(({ differs }) => differs)
  const same = all.length - differing.length
  const remark = [
    differing.length === 0
      ? "none differs"
      : `${Format.count(differing.length)} ${differing.length === 1 ? "differs" : "differ"}`,
    ...(same > 0 ? [`${Format.count(same)} the same${isWhole ? "" : ": --all lists them"}`] : [])
  ].join(", ")
  const title = paint.bold("Params") + paint.dim(` (${remark})`)
  const shown = isWhole ? all : differing
  if (shown.length === 0) return [title]
  const text = (value: JsonValue | undefined) =>
    value === undefined ? none(session) : Text.printable(typeof value === "string" ? value : Json.stringify(value))
  const columns: ReadonlyArray<Table.Column> = [
    { title: "param", align: "left", shrinkTo: 12 },
    { title: "A", align: "left", shrinkTo: 10 },
    { title: "B", align: "left", shrinkTo: 10 }
  ]
  const rows = shown.map(({ key, a, b, differs }) => [
    Text.printable(key),
    { text: text(a), ...(differs ? { brush: brush.a } : {}) },
    { text: text(b), ...(differs ? { brush: brush.b } : {}) }
  ])
  return [title, ...Table.render(columns, rows, Table.on(session, { indent: 2 }))]
}

const series = ({ series: all }: Page, session: Terminal): ReadonlyArray<string> => {
  if (all.length === 0) return []
  const { paint } = session
  const isWithContext = all.some(({ context }) => Object.keys(context).length > 0)
  const columns: ReadonlyArray<Table.Column> = [
    { title: "name", align: "left", shrinkTo: 10 },
    ...(isWithContext ? [{ title: "context", align: "left", shrinkTo: 8 } as const] : []),
    { title: "last A", align: "decimal" },
    { title: "last B", align: "decimal" },
    { title: "B - A", align: "decimal" },
    { title: "min A", align: "decimal", drop: 1 },
    { title: "min B", align: "decimal", drop: 1 },
    { title: "max A", align: "decimal", drop: 2 },
    { title: "max B", align: "decimal", drop: 2 }
  ]
  const number = (value: number | undefined) => (value === undefined ? none(session) : Format.number(value))
  const rows = all.map(({ name, context, a, b, difference }) => [
    Text.printable(name),
    ...(isWithContext ? [contextText(context)] : []),
    number(a?.last.value),
    number(b?.last.value),
    { text: difference === null ? "" : signed(difference.last), brush: paint.bold },
    number(a?.min),
    number(b?.min),
    number(a?.max),
    number(b?.max)
  ])
  return [
    paint.bold("Series") + paint.dim(` (${Format.count(all.length)})`),
    ...Table.render(columns, rows, Table.on(session, { indent: 2 }))
  ]
}

const signed = (value: number): string => (value > 0 ? `+${Format.number(value)}` : Format.number(value))

/** Both in one plot where colour tells them apart, else one below the other on the same axes. */
const chart = ({ series: { name, context, a, b }, ...points }: Charted, session: Terminal): ReadonlyArray<string> => {
  const { paint, unicode } = session
  const { dot } = marks(session)
  const brush = brushes(session)
  const where = contextText(context)
  const title = paint.bold(Text.printable(name)) + (where === "" ? "" : ` ${where}`)
  const said = (letter: string, own: Brush, values: Output.ComparedSeries["a"]) =>
    own(letter) + paint.dim(` last ${Format.number(values?.last.value ?? NaN)}`)
  const [saidA, saidB] = [said("A", brush.a, a), said("B", brush.b, b)]
  const look = { width: (session.columns ?? widthDefault) - 2, height: Chart.rowsDefault, unicode, paint }
  const lines = [
    { points: points.a, brush: paint.cyan },
    { points: points.b, brush: paint.yellow }
  ]
  const indented = (rows: ReadonlyArray<string>) => rows.map((line) => `  ${line}`)
  if (paint.bold("x") !== "x") {
    return [[title, saidA, saidB].join(paint.dim(dot)), ...indented(Chart.overlay(lines, look))]
  }
  const half = { ...look, height: Math.ceil(Chart.rowsDefault / 2) }
  const [plotA = [], plotB = []] = Chart.separate(lines, half)
  return [`${title}${dot}${saidA}`, ...indented(plotA), `${title}${dot}${saidB}`, ...indented(plotB)]
}
