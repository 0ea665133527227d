/**
 * `tracelet export RUN`: everything a run logged, one JSON object a line, or its points as a table. What is written is `ExportLines`'s and
 * `ExportPoints`'s; here it is written, in pieces, so that memory stays bounded however long the run is.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs"
import { resolve } from "node:path"
import type { LocalReader } from "@tracelet/backend-local/LocalReader"
import type { BackendError } from "@tracelet/core/BackendError"
import { exportText } from "../ExportLines.ts"
import * as ExportPoints from "../ExportPoints.ts"
import { CommandError, UsageError } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import type { Report } from "../Report.ts"
import { Session } from "../Session.ts"
import * as Text from "../Text.ts"
import { RunArgument } from "./Show.ts"

const flags = {
  run: RunArgument,
  format: Flag.Literals("format", ["jsonl", "csv", "parquet"]).pipe(
    Flag.withDescription("jsonl: everything, one JSON object a line; csv, parquet: the points, one row each"),
    Flag.withDefault("jsonl" as const)
  ),
  output: Flag.String("output").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write to this file instead of stdout; it appears when it is whole"),
    Flag.optional
  )
}

export const command = Command.make("export", flags, ({ run: query, format, output }) =>
  Frame.inWorkspace(
    Frame.readingJournals(
      Effect.gen(function* () {
        const { cwd, out, columns } = yield* Session
        if (Option.contains(output, "")) {
          return yield* new UsageError({ message: "--output names no file.", hint: "Leave it out to print on stdout." })
        }
        if (format === "parquet" && Option.isNone(output) && columns !== undefined) {
          return yield* new UsageError({
            message: "Parquet is nothing to read on a terminal.",
            hint: "Add --output FILE, or send it into a pipe."
          })
        }
        const { report } = yield* Frame.whole(query)
        if (report.status === "running") {
          yield* Frame.note(`${Text.printable(report.name)} is running: this is what it has logged so far.`)
        }
        if (report.isThinned) {
          yield* Frame.note(
            "The local store holds only what its route or its processors let through, and an export has no more than that; the journals have all of it."
          )
        }
        const content = contentOf(format, report)
        return yield* Option.isNone(output)
          ? Stream.runForEach(content, out)
          : toFile(resolve(cwd, output.value), (write) => Stream.runForEach(content, write))
      })
    )
  )
).pipe(
  Command.withDescription(
    "Print everything a run logged, one JSON object a line: run, params, tags, points, and the rest. As CSV or Parquet it is the points alone: name, context as JSON, step, value, and time in seconds."
  ),
  Command.withShortDescription("Print what a run logged, as JSON lines, CSV or Parquet"),
  Command.withExamples([
    { command: "tracelet export baseline --format jsonl --output baseline.jsonl" },
    {
      command: "tracelet export baseline --format parquet --output baseline.parquet",
      description: "For pandas and DuckDB"
    },
    { command: 'tracelet export baseline | grep \'"kind":"param"\'', description: "Only its params" }
  ])
)

const contentOf = (
  format: "jsonl" | "csv" | "parquet",
  report: Report
): Stream.Stream<string | Uint8Array, BackendError, LocalReader> => {
  switch (format) {
    case "jsonl":
      return exportText(report)
    case "csv":
      return ExportPoints.csv(report.id)
    case "parquet":
      return ExportPoints.parquet(report.id)
  }
}

/** Under another name until it is whole: half an export looks like a whole one. */
const toFile = <E, R>(
  path: string,
  fill: (write: (text: string | Uint8Array) => Effect.Effect<void, CommandError>) => Effect.Effect<void, E, R>
): Effect.Effect<void, E | CommandError, R> => {
  const temporary = `${path}.${process.pid}.tmp`
  const attempt = <A>(evaluate: () => A) =>
    Effect.try({
      try: evaluate,
      catch: (cause) =>
        new CommandError({
          tag: "OutputError",
          message: `could not write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
          hint: "Choose another --output, or leave it out to print."
        })
    })
  return Effect.acquireUseRelease(
    attempt(() => openSync(temporary, "wx")),
    (descriptor) =>
      fill((text) =>
        attempt(() => {
          const bytes = typeof text === "string" ? Buffer.from(text) : text
          for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at)
        })
      ),
    (descriptor) => Effect.sync(() => closeSync(descriptor))
  ).pipe(
    Effect.andThen(attempt(() => renameSync(temporary, path))),
    Effect.onError(() => Effect.sync(() => rmSync(temporary, { force: true })))
  )
}
