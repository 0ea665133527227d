/**
 * `tracelet compare A B`: two runs side by side. What is compared and printed is `ComparePage`'s; here it is read.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { LocalReader, type SeriesSummary } from "@tracelet/backend-local/LocalReader"
import { bucketsFor, cellsDefault } from "../Chart.ts"
import * as ComparePage from "../ComparePage.ts"
import { CommandError } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import { Session } from "../Session.ts"
import { widthDefault } from "../ShowPage.ts"
import { chartFlags, chartsDefault, drawable, hasFinite, matches, noSeries, toOutput } from "./Show.ts"

const description = "An id, a unique prefix of one, a name (the newest), or project/name"

const flags = {
  a: Argument.String("A").pipe(Argument.withDescription(description)),
  b: Argument.String("B").pipe(Argument.withDescription("The other run; differences are B less A")),
  series: chartFlags.series,
  all: Flag.Boolean("all").pipe(
    Flag.withoutNegation,
    Flag.withDescription(
      `Also params that do not differ, and charts of all series; default: the first ${chartsDefault} that both have`
    ),
    Flag.withDefault(false)
  ),
  ascii: chartFlags.ascii
}

export const command = Command.make("compare", flags, ({ a: queryA, b: queryB, series: pattern, all, ascii }) =>
  Frame.inWorkspace(
    Frame.readingJournals(
      Effect.gen(function* () {
        const [a, b] = yield* Frame.two(queryA, queryB)
        const reader = yield* LocalReader
        const isWanted = ({ name }: SeriesSummary) => Option.isNone(pattern) || matches(pattern.value, name)
        const [everyA, everyB] = [yield* reader.series(a.id), yield* reader.series(b.id)]
        const [summariesA, summariesB] = [everyA.filter(isWanted), everyB.filter(isWanted)]
        const params = ComparePage.compareParams(yield* reader.params(a.id), yield* reader.params(b.id))
        const series = ComparePage.compareSeries(summariesA.map(toOutput), summariesB.map(toOutput))
        if (Option.isSome(pattern) && series.length === 0) {
          return yield* new CommandError(noSeries(pattern.value, [...everyA, ...everyB]))
        }
        if (yield* Frame.AsJson) {
          const answer: Output.Compare = { a: Report.toOutput(a), b: Report.toOutput(b), params, series }
          return yield* Frame.printJson(answer)
        }
        const found = yield* Session
        const session = ascii ? { ...found, unicode: false } : found
        const buckets = bucketsFor(Math.min(session.columns ?? widthDefault, cellsDefault))
        const charts: Array<ComparePage.Charted> = []
        const both = series.filter(({ difference }) => difference !== null)
        const isDrawn = ({ a: ofA, b: ofB }: Output.ComparedSeries) =>
          [ofA, ofB].some((of) => of !== null && hasFinite(of))
        for (const one of all ? both : drawable(both, isDrawn).slice(0, chartsDefault)) {
          const idIn = (summaries: ReadonlyArray<SeriesSummary>) => summaries.find(ComparePage.isSeries(one))?.id ?? -1
          charts.push({
            series: one,
            a: yield* reader.points(a.id, idIn(summariesA), { buckets }),
            b: yield* reader.points(b.id, idIn(summariesB), { buckets })
          })
        }
        const now = (yield* Clock.currentTimeMillis) / 1000
        return yield* Frame.printLines(ComparePage.render({ a, b, params, series, charts, now, isWhole: all }, session))
      })
    )
  )
).pipe(
  Command.withDescription(
    "Compare two runs: params that differ, last, least and greatest values side by side, and charts of both."
  ),
  Command.withShortDescription("Compare two runs"),
  Command.withExamples([
    { command: "tracelet compare baseline sweep-1", description: "The newest runs of those names" },
    { command: "tracelet compare 3f2a 91bc --series 'val/*' --all" },
    { command: "tracelet compare baseline sweep-1 --json", description: "For a program" }
  ])
)
