/**
 * `tracelet archive [RUN…]`: rewrites the segments of runs that are over and delivered as archives, now. The agent and `sync` do so by
 * themselves; here it is done by hand, and said what stands against it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Archive from "@tracelet/core/Archive"
import type { RunJournal } from "@tracelet/core/RunJournal"
import { CommandError } from "../Failure.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as Text from "../Text.ts"
import { RunArgument } from "./Show.ts"

/** An agent lets go of a run 1.5 s after it was done with it. */
const lockMax = Duration.seconds(3)
const lockPoll = Duration.millis(100)

const flags = { runs: RunArgument.pipe(Argument.variadic()) }

export const command = Command.make("archive", flags, ({ runs: queries }) =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const current = yield* Frame.current(queries.length === 0 ? undefined : queries)
      const reports = yield* Frame.reports(current)
      const runs: Array<Output.ArchivedRun> = []
      for (const { id, project, name } of reports) {
        const run = current.known.journals.get(id)
        // The store is all that is left of it.
        if (run === undefined) continue
        const outcome = yield* Effect.scoped(archive(run, queries.length > 0))
        if (queries.length > 0 && outcome._tag === "NotYet") return yield* refused(name, id, outcome.reason)
        runs.push({ id, project, name, ...toOutput(outcome) })
      }
      const answer: Output.Archived = { runs }
      if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
      return yield* Frame.printLines(page(runs))
    })
  )
).pipe(
  Command.withDescription(
    "Compress the journals of runs that are over and wholly delivered, all of them or those named. Nothing is lost: every command reads an archived run as before. " +
      "The agent and `tracelet sync` do this by themselves, unless TRACELET_ARCHIVE=off."
  ),
  Command.withShortDescription("Compress the journals of runs that are done"),
  Command.withExamples([
    { command: "tracelet archive", description: "All that are done" },
    { command: "tracelet archive baseline --json" }
  ])
)

const archive = (run: RunJournal, isNamed: boolean) =>
  Effect.gen(function* () {
    const isTaken = yield* run.lock.pipe(
      Effect.repeat({ until: (taken) => taken || !isNamed, schedule: Schedule.spaced(lockPoll) }),
      Effect.timeoutOption(lockMax)
    )
    if (isTaken._tag === "Some" && isTaken.value) return yield* Archive.archive(run)
    return { _tag: "NotYet", reason: "another process delivers it" } as const
  })

const toOutput = (outcome: Archive.Outcome): Omit<Output.ArchivedRun, "id" | "project" | "name"> => {
  if (outcome._tag === "NotYet") return { state: "kept", reason: outcome.reason }
  if (outcome._tag === "Unchanged") return { state: "unchanged" }
  const { bytesBefore, bytesAfter } = outcome
  return { state: "archived", bytesBefore, bytesAfter }
}

const refused = (name: string, id: string, reason: string): CommandError =>
  new CommandError({
    tag: "NotArchived",
    message: `Run ${Text.printable(name)} (${id.slice(0, 8)}) is not archived: ${reason}.`,
    hint: "`tracelet status` says what is on its way; `tracelet sync` delivers it."
  })

const page = (runs: ReadonlyArray<Output.ArchivedRun>): ReadonlyArray<string> => {
  const archived = runs.filter(({ state }) => state === "archived")
  const kept = runs.filter(({ state }) => state === "kept")
  const sum = (of: "bytesBefore" | "bytesAfter") =>
    Format.bytes(archived.reduce((total, run) => total + (run[of] ?? 0), 0))
  return [
    archived.length === 0
      ? "Nothing was to archive."
      : `Archived ${Format.plural(archived.length, "run")}: ${sum("bytesAfter")}, from ${sum("bytesBefore")}.`,
    ...kept.map(({ name, id, reason }) => `${Text.printable(name)} (${id.slice(0, 8)}) stays as it is: ${reason}.`)
  ]
}
