/**
 * Which run is meant by what a user typed (`RUN`), among those of the journals and those that only the store knows. The rules and the two
 * ways to fail are `RunLookup`'s.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { LocalReader, type RunRow } from "@tracelet/backend-local/LocalReader"
import { candidatesMax, nearest, RunAmbiguous, RunNotFound, type Candidate } from "@tracelet/backend-local/RunLookup"
import type { BackendError } from "@tracelet/core/BackendError"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Retention from "@tracelet/core/Retention"
import * as Run from "@tracelet/core/Run"
import type { RunJournal } from "@tracelet/core/RunJournal"
import { CommandError } from "./Failure.ts"
import * as Format from "./Format.ts"
import * as Text from "./Text.ts"

/** All runs of a folder: those with a journal open to be read, and the store's rows. */
export interface Known {
  readonly journals: ReadonlyMap<string, RunJournal>
  readonly rows: ReadonlyMap<string, RunRow>
  /** Ids of runs that are known to be over and wholly in the store; others may be. */
  readonly current: ReadonlySet<string>
}

export const known: Effect.Effect<Known, StorageError | BackendError, Journal | LocalReader | Scope.Scope> = Effect.gen(
  function* () {
    const journal = yield* Journal
    const reader = yield* LocalReader
    const journals = new Map<string, RunJournal>()
    for (const id of yield* journal.runs) journals.set(id, yield* journal.open(id))
    return { journals, rows: new Map((yield* reader.runs()).map((row) => [row.id, row])), current: new Set<string>() }
  }
)

/** What came back of journals that could not be read, by the id of the run. */
export type Unread = Map<string, string>

/**
 * Id of the run meant; of several with one name it is the newest. By an id, or a unique beginning of one, no journal is read; by a name those
 * that cannot be read are passed over, and put into `unread`.
 */
export const find = (
  query: string,
  { journals, rows }: Known,
  unread: Unread
): Effect.Effect<string, StorageError | RunNotFound | RunAmbiguous | CommandError, Journal> =>
  Effect.gen(function* () {
    const ids = [...new Set([...rows.keys(), ...journals.keys()])]
    const [first, ...others] = ids.includes(query) ? [query] : ids.filter((id) => query !== "" && id.startsWith(query))
    if (first !== undefined && others.length === 0) return first
    const candidates: Array<Candidate> = [...rows.values()]
    for (const [id, run] of journals) {
      if (rows.has(id)) continue
      const candidate = yield* Effect.catch(candidateOf(run), ({ message }) =>
        Effect.sync(() => void unread.set(id, message))
      )
      if (candidate !== undefined) candidates.push(candidate)
    }
    candidates.sort((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? -1 : 1))
    const named =
      candidates.find(({ name }) => name === query) ??
      candidates.find(({ project, name }) => `${project}/${name}` === query)
    if (named !== undefined) return named.id
    const begun = candidates.filter(({ id }) => query !== "" && id.startsWith(query))
    for (const id of unread.keys()) if (query !== "" && id.startsWith(query)) begun.push({ id, ...unnamed(id) })
    if (begun.length > 1) {
      return yield* new RunAmbiguous({
        query,
        candidates: begun.slice(0, candidatesMax).map(toCandidate),
        total: begun.length
      })
    }
    const gone = yield* findRemoved(query)
    if (gone !== undefined) return yield* removed(gone)
    return yield* new RunNotFound({ query, nearest: nearest(query, candidates).map(toCandidate) })
  })

const unnamed = (id: string) => ({ project: Run.defaultProject, name: Run.defaultName(id), startedAt: 0 })

const candidateOf = (run: RunJournal): Effect.Effect<Candidate, StorageError> =>
  Effect.gen(function* () {
    const started = yield* run.started
    const { project, name } = started?.run ?? unnamed(run.id)
    return { id: run.id, project, name: (yield* run.amended).name ?? name, startedAt: started?.time ?? 0 }
  })

/** One line about all runs that could not be read; none where there are none. */
export const unreadLine = (unread: ReadonlyMap<string, string>): ReadonlyArray<string> => {
  const [reason] = unread.values()
  if (reason === undefined) return []
  const ids = [...unread.keys()]
  const more = ids.length > idsMax ? " and more" : ""
  return [`${Format.plural(ids.length, "run")} cannot be read: ${ids.slice(0, idsMax).join(", ")}${more}: ${reason}`]
}

/** Runs that a line names. */
const idsMax = 3

/** What retention has removed is told from what never was. */
const findRemoved = (query: string): Effect.Effect<Retention.Removed | undefined, StorageError, Journal> =>
  Effect.gen(function* () {
    const records = yield* Retention.removedRuns(yield* Journal)
    const newest = records.toSorted((a, b) => b.startedAt - a.startedAt)
    return (
      newest.find(({ run }) => run.id === query) ??
      newest.find(({ run }) => query !== "" && run.id.startsWith(query)) ??
      newest.find(({ run: { name, project } }) => name === query || `${project}/${name}` === query)
    )
  })

const removed = ({ backends, points, removedAt, run: { id, name }, why, by }: Retention.Removed): CommandError => {
  const taken = Object.entries(backends).map(
    ([backend, { delivered }]) => `${Format.plural(delivered, "event")} by ${backend}`
  )
  return new CommandError({
    tag: "RunRemoved",
    message:
      `Run ${Text.printable(name)} (${id.slice(0, 8)}) was removed on ${Format.iso(removedAt)} by retention on ${Text.printable(by.host)}` +
      ` (${why}). It had ${Format.plural(points, "point")}` +
      `${taken.length === 0 ? "" : `; taken before: ${taken.join(", ")}`}.`,
    hint: "What services were sent is still there; the journal is gone for good."
  })
}

/** For a message, which is one line: a newline in a name is an escape there, as in tables. */
const toCandidate = ({ id, project, name, startedAt }: Candidate): Candidate => ({
  id,
  project: Text.printable(project),
  name: Text.printable(name),
  startedAt
})
