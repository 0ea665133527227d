/**
 * `tracelet rm RUN…`: removes runs from this folder for good. What may not be removed, and the removing, are `RemoveRuns`'s; here it is asked
 * and said.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { CommandError, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as RemoveRuns from "../RemoveRuns.ts"
import { Session } from "../Session.ts"
import { RunArgument } from "./Show.ts"

const flags = {
  runs: RunArgument.pipe(Argument.atLeast(1)),
  yes: Flag.Boolean("yes").pipe(
    Flag.withAlias("y"),
    Flag.withoutNegation,
    Flag.withDescription("Do not ask; needed where there is no terminal"),
    Flag.withDefault(false)
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withoutNegation,
    Flag.withDescription(
      "Also a run with undelivered events, which are lost, and one that may be running on another host"
    ),
    Flag.withDefault(false)
  )
}

export const command = Command.make("rm", flags, ({ runs: queries, yes, force }) =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const doomed = yield* RemoveRuns.judge(yield* Frame.current(queries), force)
      const all = doomed.map(({ about }) => about)
      if (!yes) yield* confirm(all)
      yield* RemoveRuns.remove(doomed, force)
      const answer: Output.Removed = { removed: all }
      if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
      return yield* Frame.printLines(
        all.map((about) => {
          const losses = RemoveRuns.losses(about)
          return `Removed ${described(about)}.${losses === "" ? "" : ` Lost: ${losses}.`}`
        })
      )
    })
  )
).pipe(
  Command.withDescription(
    "Remove runs from this folder for good: journals, blobs, and rows in the store. What services were sent stays there. A running run is never removed."
  ),
  Command.withShortDescription("Remove runs from this folder for good"),
  Command.withExamples([
    { command: "tracelet rm baseline", description: "Asks first" },
    { command: "tracelet rm 3f2a 91bc --yes --json", description: "In a script" }
  ])
)

const described = (about: Output.RemovedRun): string =>
  `${RemoveRuns.called(about)}, ${Format.plural(about.points, "point")}, ${Format.bytes(about.bytes)}`

const confirm = (all: ReadonlyArray<Output.RemovedRun>) =>
  Effect.gen(function* () {
    const { ask } = yield* Session
    if (ask === undefined) {
      return yield* new UsageError({
        message: "Nobody is there to be asked whether to remove that.",
        hint: "Add --yes to remove it without a question."
      })
    }
    const lines = all.map((about) => {
      const losses = RemoveRuns.losses(about)
      return `  ${described(about)}${losses === "" ? "" : `; with it is lost: ${losses}`}\n`
    })
    const answer = yield* ask(`For good:\n${lines.join("")}Remove ${all.length === 1 ? "it" : "them"}? [y/N] `)
    if (/^y(es)?$/i.test(answer.trim())) return
    return yield* new CommandError({ tag: "NotConfirmed", message: "Nothing was removed.", hint: "" })
  })
