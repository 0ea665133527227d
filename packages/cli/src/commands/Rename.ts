/**
 * `tracelet rename RUN NAME`: another name for a run. Its id and the name it started with stay in the journal. A running run may be renamed.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Name from "@tracelet/core/Name"
import { change } from "../ChangeRun.ts"
import { UsageError } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import * as Report from "../Report.ts"
import * as Text from "../Text.ts"
import { RunArgument } from "./Show.ts"

const flags = {
  run: RunArgument,
  name: Argument.String("NAME").pipe(
    Argument.withDescription(`Its new name: 1 to ${Name.bytesMax} bytes; other runs may have it too`)
  )
}

export const command = Command.make("rename", flags, ({ run: query, name }) =>
  Effect.gen(function* () {
    const problem = Name.problem(name)
    if (problem !== undefined) {
      return yield* new UsageError({ message: `A run cannot be called that: ${problem}.`, hint: "" })
    }
    return yield* Frame.inWorkspace(
      Effect.gen(function* () {
        let was = ""
        const report = yield* change(query, (before, time) => {
          was = before.name
          return Effect.succeed(before.name === name ? undefined : ({ _tag: "Renamed", time, name } as const))
        })
        if (yield* Frame.AsJson) return yield* Frame.printJson(Report.toOutput(report))
        const said = was === name ? "was called that already" : `was called ${Text.printable(was)}`
        return yield* Frame.printLines([`${Text.printable(name)} (${report.id.slice(0, 8)}) ${said}.`])
      })
    )
  })
).pipe(
  Command.withDescription(
    "Give a run another name. A running run may be renamed; the record of its start keeps the first name."
  ),
  Command.withShortDescription("Give a run another name"),
  Command.withExamples([
    { command: 'tracelet rename baseline "baseline, fixed seed"' },
    { command: "tracelet rename 3f2a final --json", description: "For a program, by the beginning of its id" }
  ])
)
