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
import * as Agents from "./Agents.ts"
import * as CatchUp from "./CatchUp.ts"
import * as EmptyRuns from "./EmptyRuns.ts"
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
 * Has a command that only reads go on where the store cannot be read: what the journals hold goes into a store in memory, which stands for it.
 * Nothing else of the folder changes.
 */
export const readingJournals = <A, E, R>(command: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const reader = yield* LocalReader
    const trouble = yield* reader.runs({ limit: 1 }).pipe(
      Effect.as(undefined),
      Effect.catch(({ message }) => Effect.succeed(message))
    )
    if (trouble === undefined) return yield* command
    yield* note(`The store cannot be read, so this is what the journals say. ${trouble}`)
    return yield* command.pipe(
      Effect.provide(Workspace.storeInMemory),
      Effect.provideService(CatchUp.StoreTrouble, trouble)
    )
  })

/** The runs of the folder with the store up to date: of all of them, or of those that are meant by `queries`, each once and in that order. */
export const current = (queries?: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const known = yield* Lookup.known
    const wanted =
      queries === undefined
        ? undefined
        : new Set<string>(yield* Effect.forEach(queries, (query) => Lookup.find(query, known)))
    const journals = [...known.journals.values()].filter(({ id }) => wanted?.has(id) ?? true)
    const agent = yield* Agents.find((yield* Workspace.Place).dir)
    const elsewhere = new Set<string>(agent.state === "running" ? agent.agent.status.runs.map(({ id }) => id) : [])
    const { notes, current: untouched, changed } = yield* CatchUp.catchUp(journals, known.rows, elsewhere)
    yield* Effect.forEach(notes, note, { discard: true })
    const rows = changed ? new Map((yield* (yield* LocalReader).runs()).map((row) => [row.id, row])) : known.rows
    const ids = wanted ?? new Set([...known.journals.keys(), ...rows.keys()])
    return { known: { journals: known.journals, rows, current: untouched }, ids, agent }
  })

export type Current = Effect.Success<ReturnType<typeof current>>

/** Reports of these runs, newest first. A run whose start cannot be read has none, and that is said; a folder
 * in which none has begun is no run. */
export const reports = ({ known, ids, agent }: Current) =>
  Effect.gen(function* () {
    const found = yield* Report.reports(ids, known, agent)
    const unreported = [...ids].filter((id) => !found.some((report) => report.id === id)).map((id) => RunId.make(id))
    const missing = yield* Effect.filter(unreported, (id) => Effect.map(EmptyRuns.isEmpty(id), (empty) => !empty))
    if (missing.length > 0) {
      const names = missing.slice(0, 3).join(", ")
      yield* note(`${Format.plural(missing.length, "run")} without a readable record of its start: ${names}`)
    }
    return found
  })

/** The run that is meant by `query`, with the store up to date. */
export const one = (query: string) => Effect.map(oneWithJournal(query), ({ report }) => report)

/** The same with its journal, `undefined` where the store is all that is left of it; and how it stands when `now` is asked. */
export const oneWithJournal = (query: string) =>
  Effect.gen(function* () {
    const { known, ids, agent } = yield* current([query])
    const [report] = yield* Report.reports(ids, known, agent)
    if (report === undefined) return yield* unreadable(query)
    const now = Effect.gen(function* () {
      const rows = new Map((yield* (yield* LocalReader).runs()).map((row) => [row.id, row]))
      const [latest] = yield* Report.reports(ids, { ...known, rows }, agent)
      return latest ?? report
    })
    return { report, now, journal: known.journals.get(report.id) }
  })

/** The two that are meant, in this order. */
export const two = (queryA: string, queryB: string) =>
  Effect.gen(function* () {
    const { known, ids, agent } = yield* current([queryA, queryB])
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
    return [reportOf(a) ?? (yield* unreadable(queryA)), reportOf(b) ?? (yield* unreadable(queryB))] as const
  })

const unreadable = (query: string): CommandError =>
  new CommandError({
    tag: "RunUnreadable",
    message: `Run ${query} has no readable record of its start.`,
    hint: "It has only just begun, or its first segment is damaged; try again in a moment."
  })

/** A line on stderr that is no failure. */
export const note = (text: string): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ err }) => err(`tracelet: ${Text.printable(text)}\n`))

export const printLines = (lines: ReadonlyArray<string>): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ out }) => out(`${lines.join("\n")}\n`))

export const printJson = (value: unknown): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ out }) => out(`${Json.stringify(value, 2)}\n`))
