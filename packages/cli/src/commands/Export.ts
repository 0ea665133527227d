/**
 * `tracelet export RUN`: everything a run logged, one JSON object a line. The lines are `ExportLines`'s; here they are written, in pieces,
 * so that memory stays bounded however long the run is.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs"
import { resolve } from "node:path"
import { exportText } from "../ExportLines.ts"
import { CommandError } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import { Session } from "../Session.ts"
import { RunArgument } from "./Show.ts"

const flags = {
  run: RunArgument,
  format: Flag.Literals("format", ["jsonl"]).pipe(
    Flag.withDescription("jsonl: one JSON object a line"),
    Flag.withDefault("jsonl" as const)
  ),
  output: Flag.String("output").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write to this file instead of stdout; it appears when it is whole"),
    Flag.optional
  )
}

export const command = Command.make("export", flags, ({ run: query, output }) =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const report = yield* Frame.one(query)
      const { cwd, out } = yield* Session
      const text = exportText(report)
      return yield* Option.isNone(output)
        ? Stream.runForEach(text, out)
        : toFile(resolve(cwd, output.value), (write) => Stream.runForEach(text, write))
    })
  )
).pipe(
  Command.withDescription(
    "Print everything a run logged, one JSON object a line: run, params, tags, points, and the rest."
  ),
  Command.withShortDescription("Print everything a run logged, as JSON lines"),
  Command.withExamples([
    { command: "tracelet export baseline --format jsonl --output baseline.jsonl" },
    { command: 'tracelet export baseline | grep \'"kind":"param"\'', description: "Only its params" }
  ])
)

/** Under another name until it is whole: half an export looks like a whole one. */
const toFile = <E, R>(
  path: string,
  fill: (write: (text: string) => Effect.Effect<void, CommandError>) => Effect.Effect<void, E, R>
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
          const bytes = Buffer.from(text)
          for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at)
        })
      ),
    (descriptor) => Effect.sync(() => closeSync(descriptor))
  ).pipe(
    Effect.andThen(attempt(() => renameSync(temporary, path))),
    Effect.onError(() => Effect.sync(() => rmSync(temporary, { force: true })))
  )
}
