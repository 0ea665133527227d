/**
 * `tracelet runs`: what ran, where it went, what is still on its way.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Status } from "@tracelet/core/Run"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import * as Losses from "../Losses.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import { Session } from "../Session.ts"
import * as Table from "../Table.ts"
import * as Text from "../Text.ts"
import { Place } from "../Workspace.ts"

const flags = {
  project: Flag.String("project").pipe(Flag.withDescription("Only runs of this project"), Flag.optional),
  status: Flag.Literals("status", Status.literals).pipe(
    Flag.withDescription("Only runs with this status"),
    Flag.optional
  ),
  tag: Flag.String("tag").pipe(
    Flag.withMetavar("KEY[=VALUE]"),
    Flag.withDescription("Only runs with this tag, or with this value of it"),
    Flag.optional
  ),
  sort: Flag.Literals("sort", ["newest", "oldest", "name"]).pipe(
    Flag.withDescription("newest or oldest: by start; name: by project, then name, then newest. Default: newest"),
    Flag.withDefault("newest" as const)
  ),
  limit: Flag.Int("limit").pipe(
    Flag.withDescription("Only the first so many; default: all"),
    Flag.filter(
      (count) => count > 0,
      (count) => `Expected a number of runs from 1 on, got ${count}`
    ),
    Flag.optional
  )
}

export const command = Command.make("runs", flags, ({ project, status, tag, sort, limit }) =>
  Frame.inWorkspace(
    Frame.readingJournals(
      Effect.gen(function* () {
        const all = yield* Frame.reports(yield* Frame.current())
        const runs = all
          .filter((run) => Option.isNone(project) || run.project === project.value)
          .filter((run) => Option.isNone(status) || run.status === status.value)
          .filter((run) => Option.isNone(tag) || hasTag(run, tag.value))
          .toSorted(orders[sort])
          .slice(
            0,
            Option.getOrElse(limit, () => all.length)
          )
        yield* noteLosses(runs)
        if (yield* Frame.AsJson) return yield* Frame.printJson(runs.map(Report.toOutput))
        return yield* print(runs, all.length)
      })
    )
  )
).pipe(
  Command.withDescription("List the runs of this folder: what ran, where it went, what is still on its way."),
  Command.withShortDescription("List the runs of this folder"),
  Command.withExamples([
    { command: "tracelet runs", description: "All of them, newest first" },
    { command: "tracelet runs --status running --json", description: "What trains now, for a program" },
    { command: "tracelet runs --project digits --tag demo --limit 10" }
  ])
)

/** Names the runs of whose journals something could not be read. */
const noteLosses = (runs: ReadonlyArray<Report.Report>) => {
  const damaged = runs.filter(({ backends }) => {
    const losses = Losses.ofRun(backends)
    return losses !== undefined && !Losses.isTorn(losses)
  })
  if (damaged.length === 0) return Effect.void
  const names = damaged.slice(0, namedMax).map(({ id, name }) => `${Text.printable(name)} (${id.slice(0, 8)})`)
  const more = damaged.length > namedMax ? " and more" : ""
  return Frame.note(
    `Part of the journal could not be read of ${Format.plural(damaged.length, "run")}: ${names.join(", ")}${more}. \`tracelet show RUN\` says how much.`
  )
}

/** Runs that a note names. */
const namedMax = 3

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Reports come newest first, and sorting keeps what is equal as it was. */
const orders = {
  newest: () => 0,
  oldest: (a: Report.Report, b: Report.Report) => a.startedSeconds - b.startedSeconds,
  name: (a: Report.Report, b: Report.Report) => compareText(a.project, b.project) || compareText(a.name, b.name)
}

const hasTag = ({ tags }: Report.Report, wanted: string): boolean => {
  const at = wanted.indexOf("=")
  const key = at < 0 ? wanted : wanted.slice(0, at)
  return Object.hasOwn(tags, key) && (at < 0 || tags[key] === wanted.slice(at + 1))
}

const print = (runs: ReadonlyArray<Report.Report>, total: number) =>
  Effect.gen(function* () {
    const session = yield* Session
    const { paint } = session
    if (runs.length === 0) {
      const { dir } = yield* Place
      const text =
        total === 0
          ? `No runs in ${dir} yet. A run that logs with tracelet appears here; TRACELET_DIR or --dir chooses another folder.`
          : `None of the ${Format.plural(total, "run")} in ${dir} is like that.`
      return yield* Frame.printLines([text])
    }
    const now = (yield* Clock.currentTimeMillis) / 1000
    const columns: ReadonlyArray<Table.Column> = [
      { title: "name", align: "left", shrinkTo: 8, max: Table.nameColumnsMax },
      { title: "project", align: "left", shrinkTo: 6, drop: 2, max: Table.nameColumnsMax },
      { title: "status", align: "left" },
      { title: "started", align: "left", drop: 3 },
      { title: "took", align: "right", drop: 4 },
      { title: "points", align: "right", drop: 1 },
      { title: "backends", align: "left", shrinkTo: 12 },
      { title: "id", align: "left" }
    ]
    const rows = runs.map((run) => [
      { text: Text.printable(run.name), brush: paint.bold },
      ...facts(run, now, session),
      backendsText(session, run.backends),
      { text: run.id.slice(0, 8), brush: paint.dim }
    ])
    return yield* Frame.printLines(Table.render(columns, rows, Table.on(session)))
  })

/** Cells of a run: project, status, when it started, how long it took, points. `now` in seconds since the Unix epoch. */
export const facts = (
  run: Report.Report,
  now: number,
  session: Session["Service"]
): ReadonlyArray<string | Table.Cell> => [
  Text.printable(run.project),
  { text: run.status, brush: statusBrush(session, run.status) },
  Format.time(run.startedSeconds),
  Format.duration((run.endedSeconds ?? now) - run.startedSeconds),
  Format.count(run.points)
]

export const statusBrush = ({ paint }: Session["Service"], status: string) =>
  status === "finished"
    ? paint.green
    : status === "running"
      ? paint.cyan
      : status === "failed"
        ? paint.red
        : paint.yellow

/** `local, mlflow 1,200 to go, wandb missing` */
const backendsText = (session: Session["Service"], backends: Output.Backends): Table.Cell => {
  const entries = Object.entries(backends)
  const text = entries.map(([name, backend]) => [name, ...remarks(backend)].join(" ")).join(", ")
  const isWell = entries.every(
    ([, { state, pending, deadLetter }]) => pending === 0 && deadLetter === 0 && state !== "held"
  )
  return entries.length === 0
    ? { text: "none", brush: session.paint.dim }
    : { text, brush: isWell ? (plain) => plain : session.paint.yellow }
}

/** What there is to say of a backend besides that all is there. */
export const remarks = ({ state, pending, deadLetter }: Output.Backend): ReadonlyArray<string> => [
  ...(pending > 0 ? [`${Format.count(pending)} to go`] : []),
  ...(state === "held" || state === "missing" || state === "error" || state === "waiting" ? [`(${state})`] : []),
  ...(deadLetter > 0 ? [`${Format.count(deadLetter)} refused`] : [])
]
