/**
 * What all commands share: the flags `--dir` and `--json`, the folder they are about, how they print, and the order of things before a
 * command reads the store.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { LocalReader } from "@tracelet/backend-local/LocalReader"
import * as Agents from "./Agents.ts"
import * as CatchUp from "./CatchUp.ts"
import * as Json from "./Json.ts"
import * as Lookup from "./Lookup.ts"
import { Session } from "./Session.ts"
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

/** The runs of the folder with the store up to date: of all of them, or of the one that is meant by `query`. */
export const current = (query?: string) =>
  Effect.gen(function* () {
    const known = yield* Lookup.known
    const wanted = query === undefined ? undefined : yield* Lookup.find(query, known)
    const journals = [...known.journals.values()].filter(({ id }) => wanted === undefined || id === wanted)
    const agent = yield* Agents.find((yield* Workspace.Place).dir)
    const elsewhere = new Set<string>(agent.state === "running" ? agent.agent.status.runs.map(({ id }) => id) : [])
    const { notes, current: untouched, changed } = yield* CatchUp.catchUp(journals, known.rows, elsewhere)
    yield* Effect.forEach(notes, note, { discard: true })
    const rows = changed ? new Map((yield* (yield* LocalReader).runs()).map((row) => [row.id, row])) : known.rows
    const ids = wanted === undefined ? new Set([...known.journals.keys(), ...rows.keys()]) : new Set([wanted])
    return { known: { journals: known.journals, rows, current: untouched }, ids, agent }
  })

/** A line on stderr that is no failure. */
export const note = (text: string): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ err }) => err(`tracelet: ${text}\n`))

export const printLines = (lines: ReadonlyArray<string>): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ out }) => out(`${lines.join("\n")}\n`))

export const printJson = (value: unknown): Effect.Effect<void, never, Session> =>
  Effect.flatMap(Session, ({ out }) => out(`${Json.stringify(value, 2)}\n`))
