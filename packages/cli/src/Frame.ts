/**
 * What all commands share: the flags `--dir` and `--json`, the folder they are about, how they print, and the order of things before a
 * command reads the store.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { LocalReader } from "@tracelet/backend-local/LocalReader"
import { RunId } from "@tracelet/core/Run"
import type { RunJournal } from "@tracelet/core/RunJournal"
import * as Agents from "./Agents.ts"
import * as CatchUp from "./CatchUp.ts"
import * as EmptyRuns from "./EmptyRuns.ts"
import * as Failure from "./Failure.ts"
import { CommandError } from "./Failure.ts"
import * as Format from "./Format.ts"
import * as Json from "./Json.ts"
import * as Lookup from "./Lookup.ts"
import * as Report from "./Report.ts"
import { Session } from "./Session.ts"
import * as Text from "./Text.ts"
import * as Workspace from "./Workspace.ts"

export const Dir = GlobalFlag.Setting("dir")({
  flag: Flag.String("dir").pipe(
    Flag.withMetavar("FOLDER"),
    Flag.withDescription("The .tracelet folder; default: TRACELET_DIR, else the nearest one upwards"),
    Flag.optional
  )
})

export const AsJson = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(
    Flag.withoutNegation,
    Flag.withDescription("Print JSON, for programs"),
    Flag.withDefault(false)
  )
})

/** Gives a command its folder, and closes what it opened when it ends. `folder` stands for `--dir` where that is not given. */
export const inWorkspace = <A, E, R>(command: Effect.Effect<A, E, R>, folder?: string) =>
  Effect.flatMap(
    Effect.map(
      Dir,
      Option.orElse(() => Option.fromUndefinedOr(folder))
    ),
    (dir) => command.pipe(Effect.scoped, Effect.provide(Workspace.layer(Option.getOrUndefined(dir))))
  )

/**
 * Has a command that only reads go on where the store cannot be read, or lacks something of a run that is to be had whole: what the journals
 * hold goes into a store in memory, which stands for it. Nothing else of the folder changes.
 */
export const readingJournals = <A, E, R>(command: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const reader = yield* LocalReader
    const trouble = yield* reader.runs({ limit: 1 }).pipe(
      Effect.as(undefined),
      Effect.catch(({ message }) => Effect.succeed(message))
    )
    const fromJournals = (what: string, reason: string) =>
      note(`The store ${what}, so this is what the journals say. ${reason}`).pipe(
        Effect.andThen(command),
        Effect.provide(Workspace.storeInMemory),
        Effect.provideService(CatchUp.StoreTrouble, reason)
      )
    if (trouble !== undefined) return yield* fromJournals("cannot be read", trouble)
    return yield* Effect.catch(command, (error) =>
      error instanceof CatchUp.StoreBehind ? fromJournals("lags", Failure.sentence(error.message)) : Effect.fail(error)
    )
  })

/**
 * The runs of the folder with the store up to date: of all of them, or of those that are meant by `queries`, each once and in that order. With
 * `isWhole` it fails where the store lacks something of them.
 */
export const current = (queries?: ReadonlyArray<string>, isWhole = false) =>
  Effect.gen(function* () {
    const known = yield* Lookup.known
    const wanted = queries === undefined ? undefined : new Set<string>(yield* find(queries, known))
    const journals = [...known.journals.values()].filter(({ id }) => wanted?.has(id) ?? true)
    const agent = yield* Agents.find((yield* Workspace.Place).dir)
    const elsewhere = new Set<string>(agent.state === "running" ? agent.agent.status.runs.map(({ id }) => id) : [])
    const caughtUp = yield* CatchUp.catchUp(journals, known.rows, elsewhere, isWhole)
    const { notes, current: untouched, changed, unread } = caughtUp
    if (isWhole) yield* refusePart(journals, caughtUp)
    yield* Effect.forEach(Lookup.unreadLine(unread), note, { discard: true })
    yield* Effect.forEach(notes, note, { discard: true })
    const rows = changed ? new Map((yield* (yield* LocalReader).runs()).map((row) => [row.id, row])) : known.rows
    const ids = wanted ?? new Set([...known.journals.keys(), ...rows.keys()])
    return { known: { journals: known.journals, rows, current: untouched }, ids, agent, unread }
  })

/** Ids of the runs that are meant by `queries`, in that order. */
export const find = (queries: ReadonlyArray<string>, known: Lookup.Known) => {
  const unread: Lookup.Unread = new Map()
  return Effect.forEach(queries, (query) => Lookup.find(query, known, unread)).pipe(
    Effect.ensuring(Effect.suspend(() => Effect.forEach(Lookup.unreadLine(unread), note, { discard: true })))
  )
}

/** A part of a run looks like all of it. */
const refusePart = (journals: ReadonlyArray<RunJournal>, { behind, unread }: CatchUp.CaughtUp) =>
  Effect.gen(function* () {
    for (const run of journals) {
      const reason = behind.get(run.id)
      if (reason === undefined) continue
      const isInMemory = (yield* CatchUp.StoreTrouble) !== undefined
      if (!isInMemory && !unread.has(run.id)) return yield* new CatchUp.StoreBehind({ message: reason })
      const confirmed = yield* (yield* LocalReader).confirmed(run.id)
      const missing = yield* Effect.option(run.countFrom(confirmed?.marks ?? new Map()))
      return yield* new CommandError({
        tag: "RunIncomplete",
        message:
          `Run ${run.id} cannot be had whole, so nothing of it is printed: ${Failure.sentence(reason)} ` +
          (missing._tag === "Some"
            ? `Missing would be ${Format.plural(missing.value.events, "event")}.`
            : "How much would be missing cannot be counted."),
        hint: "`tracelet doctor` looks at the folder and its runs."
      })
    }
  })

export type Current = Effect.Success<ReturnType<typeof current>>

/** Reports of these runs, newest first. A run whose start cannot be read has none, and that is said; a folder
 * in which none has begun is no run. */
export const reports = ({ known, ids, agent, unread }: Current) =>
  Effect.gen(function* () {
    const reported = yield* Report.reports(ids, known, agent)
    const unreported = [...ids]
      .filter((id) => !unread.has(id) && !reported.some((report) => report.id === id))
      .map((id) => RunId.make(id))
    const missing = yield* Effect.filter(unreported, (id) => Effect.map(EmptyRuns.isEmpty(id), (empty) => !empty))
    if (missing.length > 0) {
      const names = missing.slice(0, 3).join(", ")
      yield* note(`${Format.plural(missing.length, "run")} without a readable record of its start: ${names}`)
    }
    return reported
  })

/** The run that is meant by `query`, with the store up to date where that can be. */
export const one = (query: string) => Effect.map(meant(query, false), ({ report }) => report)

/**
 * The same with all of it in the store, and with its journal, `undefined` where the store is all that is left of it; and how it stands when
 * `now` is asked.
 */
export const whole = (query: string) => meant(query, true)

const meant = (query: string, isWhole: boolean) =>
  Effect.gen(function* () {
    const { known, ids, agent, unread } = yield* current([query], isWhole)
    const [report] = yield* Report.reports(ids, known, agent)
    if (report === undefined) return yield* unreadable(query, [...unread.values()][0])
    const now = Effect.gen(function* () {
      const rows = new Map((yield* (yield* LocalReader).runs()).map((row) => [row.id, row]))
      const [latest] = yield* Report.reports(ids, { ...known, rows }, agent)
      return latest ?? report
    })
    return { report, now, journal: known.journals.get(report.id) }
  })

/** The two that are meant, in this order, with all of them in the store. */
export const two = (queryA: string, queryB: string) =>
  Effect.gen(function* () {
    const { known, ids, agent, unread } = yield* current([queryA, queryB], true)
    const [a, b] = ids
    if (b === undefined) {
      return yield* new CommandError({
        tag: "SameRun",
        message: `${JSON.stringify(queryA)} and ${JSON.stringify(queryB)} are one run, ${a}.`,
        hint: "A name is its newest run; `tracelet runs` lists the ids."
      })
    }
    const found = yield* Report.reports(ids, known, agent)
    const reportOf = (id: string | undefined) => found.find((report) => report.id === id)
    return [
      reportOf(a) ?? (yield* unreadable(queryA, unread.get(a ?? ""))),
      reportOf(b) ?? (yield* unreadable(queryB, unread.get(b)))
    ] as const
  })

const unreadable = (query: string, reason: string | undefined): CommandError =>
  new CommandError({
    tag: "RunUnreadable",
    message: reason === undefined ? `Run ${query} has no readable record of its start.` : `Run ${query}: ${reason}`,
    hint:
      reason === undefined
        ? "It has only just begun, or its first segment is damaged; try again in a moment."
        : "`tracelet doctor` looks at the folder and its runs."
  })

/** A line on stderr that is no failure. */
export const note = (text: string): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ err }) => err(`tracelet: ${Text.printable(text)}\n`))

export const printLines = (lines: ReadonlyArray<string>): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ out }) => out(`${lines.join("\n")}\n`))

export const printJson = (value: unknown): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ out }) => out(`${Json.stringify(value, 2)}\n`))
