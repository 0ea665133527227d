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
import * as CatchUp from "../CatchUp.ts"
import * as Ending from "../Ending.ts"
import { CommandError } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import * as RunFiles from "../RunFiles.ts"
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
        const meant = yield* Frame.whole(query)
        const reader = yield* LocalReader
        const { folder, storage } = yield* Journal
        const found = yield* Session
        const session = ascii ? { ...found, unicode: false } : found
        const width = session.columns ?? ShowPage.widthDefault
        const isJson = yield* Frame.AsJson
        const { kept, report, wanted, params, charts } = yield* inOnePiece(
          meant.report.id,
          Effect.gen(function* () {
            const summaries = yield* reader.series(meant.report.id)
            const fitting = summaries.filter(({ name }) => Option.isNone(series) || matches(series.value, name))
            if (fitting.length === 0 && Option.isSome(series)) {
              return yield* new CommandError(noSeries(series.value, summaries))
            }
            const drawn: Array<ShowPage.Charted> = []
            for (const summary of isJson ? [] : all ? fitting : drawable(fitting, hasFinite).slice(0, chartsDefault)) {
              const points = yield* reader.points(meant.report.id, summary.id, {
                buckets: bucketsFor(Math.min(width, cellsDefault))
              })
              drawn.push({ summary, points })
            }
            const latest = upTo(summaries, yield* meant.now)
            const files = yield* RunFiles.of(latest.id)
            const latestKept = {
              artifacts: files.artifacts.map(RunFiles.toArtifact),
              media: RunFiles.toMedia(files.media)
            }
            return {
              kept: latestKept,
              report: latest,
              wanted: fitting,
              params: yield* reader.params(latest.id),
              charts: drawn
            }
          })
        )
        const dir = storage.join(folder, "runs", report.id)
        const isOver = report.status === "failed" || report.status === "killed"
        const ending = isOver && meant.journal !== undefined ? yield* Ending.of(meant.journal) : {}
        // What the store has is shown even when the journal cannot be read.
        const started = yield* Effect.orElseSucceed(meant.journal?.started ?? Effect.undefined, () => undefined)
        if (isJson) {
          const page: Output.Show = {
            ...Report.toOutput(report),
            dir,
            params: Object.fromEntries(params),
            series: wanted.map(toOutput),
            ...kept,
            ...(started?.parent === undefined ? {} : { parent: started.parent }),
            ...ending
          }
          return yield* Frame.printJson(page)
        }
        const now = (yield* Clock.currentTimeMillis) / 1000
        return yield* Frame.printLines(
          ShowPage.render(
            {
              report,
              ending,
              origin: started?.origin,
              parent: started?.parent,
              dir,
              params,
              series: wanted,
              kept,
              charts,
              now,
              isWhole: all
            },
            session
          )
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

/** Times a page is read again because its run went on meanwhile. */
const triesMax = 5

/** Reads a page of one state of the store: again when something was written meanwhile, as to a run that is being delivered. */
const inOnePiece = <A, E, R>(run: string, read: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const reader = yield* LocalReader
    const state = Effect.map(reader.confirmed(run), (confirmed) => CatchUp.before(confirmed?.counts))
    for (let tries = 1; ; tries++) {
      const before = yield* state
      const found = yield* read
      if (tries === triesMax || before === (yield* state)) return found
    }
  })

/** A run that goes on has logged more than the store has: its head says what the page shows. */
const upTo = (summaries: ReadonlyArray<SeriesSummary>, report: Report.Report): Report.Report =>
  report.status !== "running" || report.isThinned
    ? report
    : { ...report, points: summaries.reduce((sum, { points }) => sum + points, 0) }

/** Those first of which there is something to draw: no chart shows NaN or an infinity. */
export const drawable = <A>(series: ReadonlyArray<A>, isDrawn: (one: A) => boolean): ReadonlyArray<A> => [
  ...series.filter(isDrawn),
  ...series.filter((one) => !isDrawn(one))
]

/** Whether a series has a finite value, as far as its extremes tell. */
export const hasFinite = ({ min, max }: { readonly min: number; readonly max: number }): boolean =>
  Number.isFinite(min) || Number.isFinite(max)

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
