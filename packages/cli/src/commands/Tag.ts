/**
 * `tracelet tag RUN KEY[=VALUE]… --remove KEY`: sets tags of a run, and takes them away. A running run may be tagged; what it sets itself later
 * wins over this.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Name from "@tracelet/core/Name"
import { toTags } from "@tracelet/core/Tracker"
import { change } from "../ChangeRun.ts"
import { UsageError } from "../Failure.ts"
import * as Frame from "../Frame.ts"
import * as Report from "../Report.ts"
import { Session } from "../Session.ts"
import * as Text from "../Text.ts"
import { RunArgument } from "./Show.ts"

const flags = {
  run: RunArgument,
  tags: Argument.String("KEY[=VALUE]").pipe(
    Argument.withDescription(
      "Tags to set: labels, or keys with values; another value takes the place of the one before"
    ),
    Argument.variadic()
  ),
  remove: Flag.String("remove").pipe(
    Flag.withMetavar("KEY"),
    Flag.withDescription("Take this tag away; may be given several times"),
    Flag.atLeast(0)
  )
}

export const command = Command.make("tag", flags, ({ run: query, tags, remove }) =>
  Effect.gen(function* () {
    const changes = yield* toChanges(tags, remove)
    return yield* Frame.inWorkspace(
      Effect.gen(function* () {
        const report = yield* change(query, (before, time) =>
          Effect.gen(function* () {
            const absent = remove.filter((key) => !Object.hasOwn(before.tags, key))
            if (absent.length > 0) {
              yield* Frame.note(`${Text.printable(before.name)} has no tag ${absent.map(Text.printable).join(", ")}.`)
            }
            const real = [...changes].filter(([key, value]) => value !== null || Object.hasOwn(before.tags, key))
            return real.length === 0 ? undefined : ({ _tag: "Tags", time, tags: Object.fromEntries(real) } as const)
          })
        )
        if (yield* Frame.AsJson) return yield* Frame.printJson(Report.toOutput(report))
        const all = Object.entries(report.tags)
          .map(([key, value]) => Text.printable(value === "" ? key : `${key}=${value}`))
          .toSorted()
        const { paint } = yield* Session
        const list = all.length === 0 ? "no tags" : `${paint.dim("tags")} ${all.join(paint.dim(", "))}`
        return yield* Frame.printLines([
          `${paint.bold(Text.printable(report.name))} (${report.id.slice(0, 8)}): ${list}`
        ])
      })
    )
  })
).pipe(
  Command.withDescription(
    "Set tags of a run, and take them away. A running run may be tagged: what it sets itself later wins."
  ),
  Command.withShortDescription("Set tags of a run, and take them away"),
  Command.withExamples([
    { command: "tracelet tag baseline keep stage=production", description: "A label, and a key with a value" },
    { command: "tracelet tag baseline --remove keep --remove draft" }
  ])
)

/** By key: a text to set, null to take away. */
const toChanges = (tags: ReadonlyArray<string>, remove: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const set = tags.map((text): readonly [string, string] => {
      const at = text.indexOf("=")
      return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
    })
    const problems: Array<string> = []
    toTags(Object.fromEntries(set), (problem) => problems.push(problem))
    for (const key of remove) {
      const problem = Name.problem(key)
      if (problem !== undefined) problems.push(problem)
      if (set.some(([other]) => other === key)) problems.push(`${JSON.stringify(key)} is to be set and to be removed`)
    }
    if (problems[0] !== undefined) {
      return yield* new UsageError({ message: `A tag cannot be like that: ${problems[0]}.`, hint: "" })
    }
    if (set.length + remove.length === 0) {
      return yield* new UsageError({
        message: "There is no tag to set or to remove.",
        hint: "`tracelet tag --help` shows how it is used."
      })
    }
    return new Map<string, string | null>([...set, ...remove.map((key) => [key, null] as const)])
  })
