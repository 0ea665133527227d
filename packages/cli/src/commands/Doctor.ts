/**
 * `tracelet doctor`: what this machine and this folder are like for tracelet, line by line, with what to do where it could be better. The
 * checks are `Checks`'s. Exit code 1 when one of them is bad.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { Unfinished } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import { marks, Session } from "../Session.ts"
import * as Text from "../Text.ts"
import { Place } from "../Workspace.ts"

export const command = Command.make("doctor", {}, () =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const { dir } = yield* Place
      // It needs child processes, which no other command does.
      const { all } = yield* Effect.promise(() => import("../Checks.ts"))
      const answer: Output.Doctor = { dir, checks: yield* all }
      if (yield* Frame.AsJson) yield* Frame.printJson(answer)
      else yield* Frame.printLines(page(answer.checks, yield* Session))
      if (answer.checks.some(({ state }) => state === "bad")) return yield* new Unfinished({ exitCode: 1 })
    })
  )
).pipe(
  Command.withDescription(
    "Look at versions, the folder, its file system and locks, the agent and Python, and say what to do."
  ),
  Command.withShortDescription("Look at this machine and this folder"),
  Command.withExamples([
    { command: "tracelet doctor" },
    { command: "tracelet doctor --json", description: "For a bug report" }
  ])
)

const page = (checks: ReadonlyArray<Output.Check>, session: Session["Service"]): ReadonlyArray<string> => {
  const { good, warning, bad } = marks(session)
  const mark = { good, warning, bad }
  const width = Math.max(...checks.map(({ name }) => name.length))
  return checks.flatMap(({ name, state, found, advice }) => [
    `${mark[state]}${session.unicode || state !== "good" ? " " : ""} ${session.paint.bold(Text.padEnd(name, width))}  ${Text.printable(found)}`,
    ...(advice === "" ? [] : [`  ${" ".repeat(width + 3)}${session.paint.dim(Text.printable(advice))}`])
  ])
}
