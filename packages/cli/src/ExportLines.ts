/**
 * A run as JSON lines, in the order and shape of the contract: the run; params and tags by key; points by series, in the order logged;
 * then, by time, artifacts, texts, media and console lines. Text comes in pieces of many lines.
 *
 * The measured part is `pointLines`: half a million points a second leave no room for an object or a Schema each (bench/show).
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { LocalReader, type Columns, type SeriesSummary } from "@tracelet/backend-local/LocalReader"
import type { BackendError } from "@tracelet/core/BackendError"
import type { Artifact, Console, Media, Text } from "@tracelet/core/RunEvent"
import type { SeriesContext } from "@tracelet/core/SeriesContext"
import * as Json from "./Json.ts"
import { mergeByTime } from "./MergeByTime.ts"
import * as Report from "./Report.ts"

type Single = Artifact | Text | Media | Console

/** Characters of a piece, about: larger ones gain nothing, and a pipe takes 64 KiB at a time. */
const pieceLength = 128 * 1024

export const exportText = (report: Report.Report): Stream.Stream<string, BackendError, LocalReader> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const reader = yield* LocalReader
      const [params, tags, series] = [
        yield* reader.params(report.id),
        yield* reader.tags(report.id),
        yield* reader.series(report.id)
      ]
      const head = [
        { kind: "run", ...Report.withoutBackends(report) },
        ...[...params].map(([key, value]) => ({ kind: "param", key, value })),
        ...[...tags].map(([key, value]) => ({ kind: "tag", key, value }))
      ]
      const points = Stream.fromIterable(series).pipe(
        Stream.flatMap((summary) =>
          reader
            .pointColumns(report.id, summary.id)
            .pipe(Stream.flatMap((columns) => Stream.fromIterable(pointPieces(summary, columns))))
        )
      )
      const singles = mergeByTime<Single>([
        reader.artifacts(report.id),
        reader.texts(report.id),
        reader.media(report.id),
        reader.console(report.id)
      ]).pipe(Stream.map((events) => events.map((event) => line(singleObject(event))).join("")))
      return Stream.concat(Stream.concat(Stream.succeed(head.map(line).join("")), points), singles)
    })
  )

const line = (value: unknown): string => `${Json.stringify(value)}\n`

/** Keys sorted, so that series stand in the order of what is printed. */
export const sortedContext = (context: SeriesContext): SeriesContext =>
  Object.fromEntries(Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))

/** The lines of a block of points, in pieces. */
function* pointPieces({ name, context }: SeriesSummary, columns: Columns): Generator<string> {
  const prefix = `{"kind":"point","name":${JSON.stringify(name)},"context":${Json.stringify(sortedContext(context))},"step":`
  const { count, steps, values, times } = columns
  let text = ""
  for (let i = 0; i < count; i++) {
    const value = values[i] ?? NaN
    text += `${prefix}${steps[i]},"value":${Json.numberText(value)},"time":${times[i]}}\n`
    if (text.length >= pieceLength) {
      yield text
      text = ""
    }
  }
  if (text !== "") yield text
}

const singleObject = (event: Single) => {
  switch (event._tag) {
    case "Artifact":
      return {
        kind: "artifact",
        name: event.name,
        type: event.type,
        files: event.files,
        references: event.references
      }
    case "Text": {
      const { name, context, step, time, text } = event
      return { kind: "text", name, context: sortedContext(context), step, time, text }
    }
    case "Media": {
      const { kind, name, context, step, time, mediaType, digest, bytes, edges, counts } = event
      return { kind, name, context: sortedContext(context), step, time, mediaType, digest, bytes, edges, counts }
    }
    case "Console": {
      const { time, stream, text } = event
      return { kind: "console", stream, time, text }
    }
  }
}
