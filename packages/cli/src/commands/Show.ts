/**
 * `tracelet show RUN`: one run on a page. What is printed of it is `ShowPage`'s; here it is looked up, and the store is asked for no more
 * points than a chart has room for.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { LocalReader, type SeriesSummary } from "@tracelet/backend-local/LocalReader"
import { Journal } from "@tracelet/core/Journal"
import { bucketsFor, cellsDefault } from "../Chart.ts"
import { CommandError } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import { Session } from "../Session.ts"
import * as ShowPage from "../ShowPage.ts"
import * as Text from "../Text.ts"

/** Charts that are drawn when nobody asks for more: what fits two screens. */
export const chartsDefault = 4

/** Names of series that an error lists. */
const namedMax = 8

/** How the run of a command is named; the same sentence in every help. */
export const RunArgument = Argument.String("RUN").pipe(
  Argument.withDescription("An id, a unique prefix of one, a name (the newest), or project/name")
)

/** Shared with `compare`. */
export const chartFlags = {
  series: Flag.String("series").pipe(
    Flag.withMetavar("PATTERN"),
    Flag.withDescription("Only series whose name holds this; with * or ? the whole name has to fit"),
    Flag.optional
  ),
  ascii: Flag.Boolean("ascii").pipe(
    Flag.withoutNegation,
    Flag.withDescription("Plain characters only, as with NO_UNICODE"),
    Flag.withDefault(false)
  )
}

const flags = {
  run: RunArgument,
  series: chartFlags.series,
  all: Flag.Boolean("all").pipe(
    Flag.withoutNegation,
    Flag.withDescription(`Draw all series, and list all params; default: the first ${chartsDefault} series`),
    Flag.withDefault(false)
  ),
  ascii: chartFlags.ascii
}

export const command = Command.make("show", flags, ({ run: query, series, all, ascii }) =>
  Frame.inWorkspace(
    Frame.readingJournals(
      Effect.gen(function* () {
        const report = yield* Frame.one(query)
        const reader = yield* LocalReader
        const { folder, storage } = yield* Journal
        const summaries = yield* reader.series(report.id)
        const wanted = summaries.filter(({ name }) => Option.isNone(series) || matches(series.value, name))
        const params = yield* reader.params(report.id)
        const dir = storage.join(folder, "runs", report.id)
        if (wanted.length === 0 && Option.isSome(series))
          return yield* new CommandError(noSeries(series.value, summaries))
        if (yield* Frame.AsJson) {
          const page: Output.Show = {
            ...Report.toOutput(report),
            dir,
            params: Object.fromEntries(params),
            series: wanted.map(toOutput)
          }
          return yield* Frame.printJson(page)
        }
        const found = yield* Session
        const session = ascii ? { ...found, unicode: false } : found
        const width = session.columns ?? ShowPage.widthDefault
        const charts: Array<ShowPage.Charted> = []
        for (const summary of all ? wanted : wanted.slice(0, chartsDefault)) {
          const points = yield* reader.points(report.id, summary.id, {
            buckets: bucketsFor(Math.min(width, cellsDefault))
          })
          charts.push({ summary, points })
        }
        const now = (yield* Clock.currentTimeMillis) / 1000
        return yield* Frame.printLines(
          ShowPage.render({ report, dir, params, series: wanted, charts, now, isWhole: all }, session)
        )
      })
    )
  )
).pipe(
  Command.withDescription("Show one run: params, a summary of its series, and charts."),
  Command.withExamples([
    { command: "tracelet show baseline", description: "The newest run of that name" },
    { command: "tracelet show digits/baseline --series 'val/*' --all", description: "All series of one kind" },
    { command: "tracelet show 3f2a --json", description: "For a program, by the beginning of its id" }
  ])
)

/** `val/*`, `*loss`: the whole name; without `*` and `?` any part of it, in any case. */
export const matches = (pattern: string, name: string): boolean => {
  if (!/[*?]/.test(pattern)) return name.toLowerCase().includes(pattern.toLowerCase())
  const parts = pattern
    .split(/([*?])/)
    .map((part) => (part === "*" ? ".*" : part === "?" ? "." : part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")))
  return new RegExp(`^${parts.join("")}$`, "su").test(name)
}

export const noSeries = (pattern: string, summaries: ReadonlyArray<SeriesSummary>) => {
  const names = [...new Set(summaries.map(({ name }) => name))]
  return {
    tag: "SeriesNotFound",
    message: `No series is called like ${JSON.stringify(pattern)}.`,
    hint:
      names.length === 0
        ? "The run has logged no points."
        : `There are ${names.slice(0, namedMax).map(Text.printable).join(", ")}${names.length > namedMax ? " and more" : ""}.`
  }
}

export const toOutput = ({ name, context, points, nans, min, max, last }: SeriesSummary): Output.Series => ({
  name,
  context,
  points,
  nans,
  min,
  max,
  last
})
