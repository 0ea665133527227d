/**
 * The page that `tracelet show` prints: head, tags, backends, params, a table of the series, and charts. Pure: from what was read to lines.
 */
import type { Points, SeriesSummary } from "@tracelet/backend-local/LocalReader"
import type { Json as JsonValue } from "@tracelet/core/JsonObject"
import type { Origin } from "@tracelet/core/RunEvent"
import * as Chart from "./Chart.ts"
import { remarks, statusBrush } from "./commands/Runs.ts"
import { contextText } from "./ContextText.ts"
import type { Ending } from "./Ending.ts"
import * as Format from "./Format.ts"
import * as Json from "./Json.ts"
import * as Losses from "./Losses.ts"
import type { Brush } from "./Paint.ts"
import type * as Output from "./Output.ts"
import * as RunFiles from "./RunFiles.ts"
import type { Report } from "./Report.ts"
import { marks, type Session } from "./Session.ts"
import * as Table from "./Table.ts"
import * as Text from "./Text.ts"

/** Where stdout is no terminal. */
export const widthDefault = 100

/** Params and series that are listed when nobody asks for all. */
export const paramsMax = 40
export const seriesMax = 40

/** The same of artifacts, and of media. */
const filesMax = 20

/** Digits of a commit that are printed: enough for Git to find it in any repository. */
const commitLength = 12

/** Lines of an error that are printed when nobody asks for all. */
const errorLinesMax = 20

export interface Charted {
  readonly summary: SeriesSummary
  readonly points: Points
}

export interface Page {
  readonly report: Report
  readonly ending: Ending
  readonly origin: Origin | undefined
  /** Id of the run it is nested in. */
  readonly parent: string | undefined
  readonly dir: string
  readonly params: ReadonlyMap<string, JsonValue>
  readonly series: ReadonlyArray<SeriesSummary>
  readonly kept: Output.Artifacts
  readonly charts: ReadonlyArray<Charted>
  /** Seconds since the Unix epoch. */
  readonly now: number
  readonly isWhole: boolean
}

type Terminal = Session["Service"]

export const render = (page: Page, session: Terminal): ReadonlyArray<string> => {
  const sections = [
    head(page, session),
    ending(page, session),
    backends(page, session),
    params(page, session),
    series(page, session),
    table("Artifacts", RunFiles.artifactRows(page.kept.artifacts), page, session),
    table("Media", RunFiles.mediaRows(page.kept.media), page, session)
  ]
  const drawn = page.charts.map((charted, i) => chart(charted, i, session))
  const left = page.series.length - page.charts.length
  const more =
    left > 0
      ? [
          [
            session.paint.dim(
              `${Format.plural(left, "more series", "more series")}: --all draws them, --series PATTERN chooses.`
            )
          ]
        ]
      : []
  return [...sections, ...drawn, ...more]
    .filter((lines) => lines.length > 0)
    .flatMap((lines, i) => (i === 0 ? lines : ["", ...lines]))
}

const head = ({ report, origin, parent, dir, now }: Page, session: Terminal): ReadonlyArray<string> => {
  const { paint } = session
  const { dot } = marks(session)
  const took = Format.duration((report.endedSeconds ?? now) - report.startedSeconds)
  const facts = [
    `project ${cut(report.project, session)}`,
    statusBrush(session, report.status)(report.status),
    report.endedSeconds === undefined ? `for ${took}` : `took ${took}`,
    Format.plural(report.points, "point")
  ]
  const when = [`started ${Format.time(report.startedSeconds)}`]
  if (report.endedSeconds !== undefined) when.push(`ended ${Format.time(report.endedSeconds)}`)
  const tags = Object.entries(report.tags).map(([key, value]) => cut(value === "" ? key : `${key}=${value}`, session))
  return [
    paint.bold(cut(report.name, session)) + paint.dim(dot) + facts.join(paint.dim(dot)),
    paint.dim(`id ${report.id}${dot}${when.join(dot)}`),
    paint.dim(Text.printable(dir)),
    ...(parent === undefined ? [] : [`${paint.dim("parent")} ${parent}`]),
    ...source(origin, session),
    ...(tags.length === 0 ? [] : [`${paint.dim("tags")} ${tags.toSorted().join(paint.dim(", "))}`])
  ]
}

/** What was begun, on which commit, and by whom. */
const source = (origin: Origin | undefined, session: Terminal): ReadonlyArray<string> => {
  const { program, user, host, git } = origin ?? {}
  const commit = git?.commit.slice(0, commitLength)
  const facts = [
    program,
    commit === undefined ? undefined : `git ${git?.branch === undefined ? "" : `${git.branch} `}${commit}`,
    git?.isDirty === true ? "changed since" : undefined,
    user === undefined ? host : host === undefined ? user : `${user}@${host}`
  ].filter((fact) => fact !== undefined)
  if (facts.length === 0) return []
  const { paint } = session
  return [`${paint.dim("source")} ${facts.map((fact) => cut(fact, session)).join(paint.dim(marks(session).dot))}`]
}

/** What a line can hold of a user's text. */
const cut = (text: string, session: Terminal): string =>
  Text.fit(Text.printable(text), Table.textColumnsMax, marks(session).ellipsis)

/** Why it failed: the lines of the error are lines here. */
const ending = ({ ending: { error, exitCode }, isWhole }: Page, session: Terminal): ReadonlyArray<string> => {
  if (error === undefined && exitCode === undefined) return []
  const lines = (error ?? "").split("\n").filter((line) => line.trim() !== "")
  // What it was stands at the end, behind where it came from.
  const shown = isWhole ? lines : lines.slice(-errorLinesMax)
  const left = lines.length - shown.length
  const { ellipsis } = marks(session)
  return [
    title("Error", session) + (exitCode === undefined ? "" : session.paint.dim(` (exit code ${exitCode})`)),
    ...(left > 0 ? [session.paint.dim(`  ${ellipsis} ${Format.plural(left, "line")} before: --all prints them.`)] : []),
    ...shown.map((line) => `  ${session.paint.red(cut(line, session))}`)
  ]
}

const title = (text: string, session: Terminal, count?: number): string =>
  session.paint.bold(text) + (count === undefined ? "" : session.paint.dim(` (${Format.count(count)})`))

const backends = ({ report }: Page, session: Terminal): ReadonlyArray<string> => {
  const all = Object.entries(report.backends)
  if (all.length === 0) return []
  const rows = all.map(([name, backend]) => [
    name,
    { text: backend.state, brush: stateBrush(backend.state, session) },
    // Events: a point is one, and so is what was logged at once of params, tags or text.
    `${Format.plural(backend.delivered, "event")} delivered`,
    // The state has a column of its own.
    remarks({ ...backend, state: "idle" }).join(", ")
  ])
  const columns: ReadonlyArray<Table.Column> = [
    { title: "name", align: "left" },
    { title: "state", align: "left" },
    { title: "delivered", align: "right" },
    { title: "left", align: "left" }
  ]
  // A reason says what to do, so it is never cut.
  const reasons = all.flatMap(([name, { reason }]) =>
    reason === undefined ? [] : [`  ${name}: ${Text.printable(reason)}`]
  )
  const losses = Losses.ofRun(report.backends)
  return [
    title("Backends", session),
    ...Table.render(columns, rows, Table.on(session, { indent: 2, head: false })),
    ...reasons,
    ...(losses === undefined ? [] : [`  ${session.paint.yellow(Losses.sentence(losses))}`])
  ]
}

const stateBrush = (state: string, { paint }: Terminal): Brush =>
  state === "done" ? paint.green : state === "idle" || state === "delivering" ? paint.cyan : paint.yellow

const params = ({ params: all, isWhole }: Page, session: Terminal): ReadonlyArray<string> => {
  if (all.size === 0) return []
  const shown = [...all].slice(0, isWhole ? all.size : paramsMax)
  const rows = shown.map(([key, value]) => [
    { text: Text.printable(key), brush: session.paint.cyan },
    Text.printable(typeof value === "string" ? value : Json.stringify(value))
  ])
  const columns: ReadonlyArray<Table.Column> = [
    { title: "param", align: "left", shrinkTo: 16, max: Table.nameColumnsMax },
    { title: "value", align: "left", shrinkTo: 16 }
  ]
  return [
    title("Params", session, all.size),
    ...Table.render(columns, rows, Table.on(session, { indent: 2, head: false })),
    ...leftOut(all.size - shown.length, session)
  ]
}

const leftOut = (count: number, session: Terminal): ReadonlyArray<string> =>
  count > 0
    ? [session.paint.dim(`  ${marks(session).ellipsis} and ${Format.count(count)} more: --all lists them.`)]
    : []

const series = ({ series: all, isWhole }: Page, session: Terminal): ReadonlyArray<string> => {
  if (all.length === 0) return []
  const shown = all.slice(0, isWhole ? all.length : seriesMax)
  const isWithContext = shown.some(({ context }) => Object.keys(context).length > 0)
  const isWithNan = shown.some(({ nans }) => nans > 0)
  const columns: ReadonlyArray<Table.Column> = [
    { title: "name", align: "left", shrinkTo: 12, max: Table.nameColumnsMax },
    ...(isWithContext ? [{ title: "context", align: "left", shrinkTo: 12, max: Table.nameColumnsMax } as const] : []),
    { title: "points", align: "right", drop: 1 },
    ...(isWithNan ? [{ title: "NaN", align: "right" } as const] : []),
    { title: "last step", align: "right", drop: 2 },
    { title: "last", align: "decimal" },
    { title: "min", align: "decimal" },
    { title: "max", align: "decimal" }
  ]
  const rows = shown.map(({ name, context, points, nans, last, min, max }, i) => [
    { text: Text.printable(name), brush: brushOf(i, session) },
    ...(isWithContext ? [contextText(context)] : []),
    Format.count(points),
    ...(isWithNan ? [{ text: nans === 0 ? "" : Format.count(nans), brush: session.paint.red }] : []),
    Format.count(last.step),
    Format.number(last.value),
    Format.number(min),
    Format.number(max)
  ])
  return [
    title("Series", session, all.length),
    ...Table.render(columns, rows, Table.on(session, { indent: 2 })),
    ...leftOut(all.length - shown.length, session)
  ]
}

const table = (
  name: string,
  [columns, all]: RunFiles.Rows,
  { isWhole }: Page,
  session: Terminal
): ReadonlyArray<string> => {
  if (all.length === 0) return []
  const shown = all.slice(0, isWhole ? all.length : filesMax)
  return [
    title(name, session, all.length),
    ...Table.render(columns, shown, Table.on(session, { indent: 2 })),
    ...leftOut(all.length - shown.length, session)
  ]
}

/** A colour for each line of the table and its chart. */
const brushOf = (i: number, { paint }: Terminal): Brush =>
  [paint.cyan, paint.green, paint.magenta, paint.yellow, paint.blue][i % 5] ?? paint.cyan

const chart = ({ summary, points }: Charted, i: number, session: Terminal): ReadonlyArray<string> => {
  const { paint, unicode } = session
  const { dot } = marks(session)
  const brush = brushOf(i, session)
  const { last, min, max, nans } = summary
  const facts = [
    `last ${Format.number(last.value)}`,
    `min ${Format.number(min)}`,
    `max ${Format.number(max)}`,
    Format.plural(summary.points, "point"),
    ...(nans > 0 ? [`${Format.count(nans)} NaN ${unicode ? "×" : "x"}`] : [])
  ]
  const context = cut(contextText(summary.context), session)
  const name = paint.bold(brush(cut(summary.name, session))) + (context === "" ? "" : ` ${context}`)
  const width = (session.columns ?? widthDefault) - 2
  // A single point is no line: its value says it all.
  if (summary.points === 1)
    return [name + paint.dim(`${dot}${Format.number(last.value)} at step ${Format.count(last.step)}${dot}1 point`)]
  return [
    name + paint.dim(dot + facts.join(dot)),
    ...Chart.render(points, { width, height: Chart.rowsDefault, unicode, paint, brush }).map((line) => `  ${line}`)
  ]
}
