/**
 * `tracelet dead-letter list|retry|drop`: what backends refused for good, and what a user wants to become of it. The rules are `DeadLetters`'s;
 * here it is shown, asked and said.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { RunJournal } from "@tracelet/core/RunJournal"
import * as Agents from "../Agents.ts"
import * as DeadLetters from "../DeadLetters.ts"
import { CommandError, Unfinished, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import { Session } from "../Session.ts"
import * as SyncRuns from "../SyncRuns.ts"
import * as Table from "../Table.ts"
import * as Text from "../Text.ts"
import { Place } from "../Workspace.ts"
import { RunArgument } from "./Show.ts"
import { TimeoutFlag } from "./Sync.ts"

const backend = Flag.String("backend").pipe(
  Flag.withMetavar("NAME"),
  Flag.withDescription("Only what this backend refused"),
  Flag.optional
)

const list = Command.make(
  "list",
  {
    run: RunArgument.pipe(Argument.optional),
    backend,
    all: Flag.Boolean("all").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Also what was delivered since, or given up"),
      Flag.withDefault(false)
    )
  },
  ({ run: query, backend: only, all }) =>
    Frame.inWorkspace(
      Effect.gen(function* () {
        const current = yield* Frame.current(Option.match(query, { onNone: () => undefined, onSome: (one) => [one] }))
        const letters: Array<Output.DeadLetter> = []
        const damaged: Array<Output.DeadLetters["damaged"][number]> = []
        for (const { id, name } of yield* Frame.reports(current)) {
          const run = current.known.journals.get(id)
          if (run === undefined) continue
          for (const { backend: from, contents } of yield* DeadLetters.boxes(run, Option.getOrUndefined(only))) {
            damaged.push(...contents.damaged.map((one) => ({ run: id, backend: from, ...one })))
            for (const { at, ...letter } of contents.letters) {
              if (!all && !DeadLetters.isOpen(letter)) continue
              letters.push({ run: id, name, backend: from, at: Format.iso(at), ...letter })
            }
          }
        }
        const answer: Output.DeadLetters = { letters, damaged }
        if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
        return yield* Frame.printLines(page(answer, yield* Session))
      })
    )
).pipe(
  Command.withDescription("Show what backends refused for good, of all runs or of one, and why."),
  Command.withShortDescription("Show what backends refused for good"),
  Command.withExamples([
    { command: "tracelet dead-letter list" },
    { command: "tracelet dead-letter list baseline --backend mlflow --json" }
  ])
)

const retry = Command.make(
  "retry",
  { run: RunArgument, backend, timeout: TimeoutFlag },
  ({ run: query, backend: only, timeout: longest }) =>
    Frame.inWorkspace(
      Effect.gen(function* () {
        const { about, current, journal } = yield* meant(query)
        const asked = yield* DeadLetters.settle(journal, about, Option.getOrUndefined(only), { state: "retry" })
        yield* SyncRuns.sync({
          known: current.known,
          wanted: about.id,
          agent: yield* Agents.find((yield* Place).dir),
          timeout: longest,
          progress: new SyncRuns.Progress(),
          isArchiving: false,
          takesOver: () => false
        })
        const { id, project, name } = about
        const answer: Output.DeadLetterRetried = {
          id,
          project,
          name,
          backends: yield* DeadLetters.outcome(journal, asked)
        }
        if (yield* Frame.AsJson) yield* Frame.printJson(answer)
        else yield* Frame.printLines(Object.entries(answer.backends).map(sentence))
        const isAll = Object.values(answer.backends).every(({ refused, pending }) => refused + pending === 0)
        if (!isAll) return yield* new Unfinished({ exitCode: 3 })
      })
    )
).pipe(
  Command.withDescription(
    "Send what backends refused once more, when the cause was mended. What is refused again stays in the dead letter, with the new reason. Exit code 0 when all was taken, 3 otherwise."
  ),
  Command.withShortDescription("Send what was refused once more"),
  Command.withExamples([
    { command: "tracelet dead-letter retry baseline" },
    { command: "tracelet dead-letter retry baseline --backend mlflow --timeout 5m" }
  ])
)

const drop = Command.make(
  "drop",
  {
    run: RunArgument,
    backend,
    why: Flag.String("why").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("Why nobody needs them there; it is kept with them")
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withAlias("y"),
      Flag.withoutNegation,
      Flag.withDescription("Do not ask; needed where there is no terminal"),
      Flag.withDefault(false)
    )
  },
  ({ run: query, backend: only, why, yes }) =>
    Frame.inWorkspace(
      Effect.gen(function* () {
        const { about, journal } = yield* meant(query)
        const wanted = Option.getOrUndefined(only)
        if (!yes) yield* confirm(journal, about, wanted)
        const dropped = yield* DeadLetters.settle(journal, about, wanted, { state: "dropped", why })
        const backends = Object.fromEntries([...dropped].map(([name, letters]) => [name, letters.length]))
        const { id, project, name } = about
        const answer: Output.DeadLetterDropped = { id, project, name, why, backends }
        if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
        return yield* Frame.printLines(
          Object.entries(backends).map(
            ([from, count]) => `Gave up ${Format.plural(count, "event")} that ${Text.printable(from)} refused.`
          )
        )
      })
    )
).pipe(
  Command.withDescription(
    "Give up what backends refused: nothing of it is sent again by itself, and it stands in nobody's way. The events stay in the journal, and a record stays of what was given up and why."
  ),
  Command.withShortDescription("Give up what was refused"),
  Command.withExamples([
    { command: `tracelet dead-letter drop baseline --why "names of an old version"`, description: "Asks first" },
    { command: `tracelet dead-letter drop 3f2a --backend mlflow --why "test run" --yes` }
  ])
)

export const command = Command.make("dead-letter").pipe(
  Command.withDescription("What backends refused for good: show it, send it once more, or give it up."),
  Command.withShortDescription("What backends refused for good"),
  Command.withExamples([{ command: "tracelet dead-letter list" }]),
  Command.withSubcommands([list, retry, drop])
)

/** The run that is meant, with its journal: without that there is no dead letter either. */
const meant = (query: string) =>
  Effect.gen(function* () {
    const current = yield* Frame.current([query])
    const [about] = yield* Frame.reports(current)
    const journal = about === undefined ? undefined : current.known.journals.get(about.id)
    if (about !== undefined && journal !== undefined) return { about, current, journal }
    return yield* new CommandError({
      tag: "JournalGone",
      message: `The journals of run ${query} are gone, and its dead letter with them.`,
      hint: "`tracelet runs` lists what there is."
    })
  })

const confirm = (journal: RunJournal, about: DeadLetters.Report, only: string | undefined) =>
  Effect.gen(function* () {
    const { ask } = yield* Session
    if (ask === undefined) {
      return yield* new UsageError({
        message: "Nobody is there to be asked whether to give that up.",
        hint: "Add --yes to give it up without a question."
      })
    }
    const open = (yield* DeadLetters.boxes(journal, only)).flatMap(({ contents }) =>
      contents.letters.filter(DeadLetters.isOpen)
    )
    // There is nothing to ask about; what is wrong is said where it is given up.
    if (open.length === 0) return
    const events = Format.plural(open.length, "event")
    const answer = yield* ask(`Give up ${events} of ${DeadLetters.called(about)} that backends refused? [y/N] `)
    if (/^y(es)?$/i.test(answer.trim())) return
    return yield* new CommandError({ tag: "NotConfirmed", message: "Nothing was given up.", hint: "" })
  })

const sentence = ([name, { delivered, pending, refused }]: readonly [
  string,
  Output.DeadLetterRetried["backends"][string]
]): string => {
  const parts = [
    `${Format.plural(delivered, "event")} delivered`,
    ...(refused > 0 ? [`${Format.count(refused)} refused again`] : []),
    ...(pending > 0 ? [`${Format.count(pending)} not sent yet: \`tracelet sync\` tries again`] : [])
  ]
  return `${Text.printable(name)}: ${parts.join(", ")}.`
}

const page = ({ damaged, letters }: Output.DeadLetters, session: Session["Service"]): ReadonlyArray<string> => {
  const broken = damaged.map(
    ({ run, backend: from, line, text }) =>
      `Line ${line} of ${Text.printable(from)}'s dead letter of run ${run.slice(0, 8)} is damaged: ${Text.printable(text)}`
  )
  if (letters.length === 0) return ["Nothing that waits for you was refused.", ...broken]
  const columns: ReadonlyArray<Table.Column> = [
    { title: "name", align: "left", shrinkTo: 8, max: Table.nameColumnsMax },
    { title: "id", align: "left" },
    { title: "backend", align: "left" },
    { title: "refused", align: "left", drop: 1 },
    { title: "event", align: "left", shrinkTo: 12 },
    { title: "state", align: "left" },
    { title: "reason", align: "left", shrinkTo: 12 }
  ]
  const rows = letters.map((letter) => [
    Text.printable(letter.name),
    letter.run.slice(0, 8),
    letter.backend,
    Format.time(Date.parse(letter.at) / 1000),
    DeadLetters.described(letter),
    letter.state,
    Text.printable(letter.why ?? letter.reason)
  ])
  const advice = [
    "`tracelet dead-letter retry RUN` sends them once more when the cause is mended; `tracelet dead-letter drop RUN` gives them up."
  ]
  return [
    ...Table.render(columns, rows, Table.on(session)),
    "",
    ...(letters.some(DeadLetters.isOpen) ? advice : []),
    ...broken
  ]
}
