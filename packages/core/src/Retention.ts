/**
 * Removes the oldest runs of a folder when they are too old, or all together too large (journal.md §12). Only runs that are over and of which every
 * event was taken by every backend; of each a record stays that says what is gone. By default nothing is ever removed.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { obstacle as archiveObstacle } from "./Archive.ts"
import type { BackendError } from "./BackendError.ts"
import { Counts } from "./Cursor.ts"
import type { Journal } from "./Journal.ts"
import type { StorageError } from "./JournalStorage.ts"
import type { Targets } from "./Pipeline.ts"
import { Run, RunId, Status } from "./Run.ts"
import * as RunFolder from "./RunFolder.ts"
import type { RunStarted } from "./RunEvent.ts"
import type { RunJournal } from "./RunJournal.ts"
import { decodeText, encodeText } from "./internal/bytes.ts"

export interface Policy {
  /** How long after its end a run may be removed. Too short, and a backend that is added later has nothing to be fed from. */
  readonly age?: Duration.Duration
  /** Most that the folders of all runs may have together; the store is not counted. Runs that may not be removed count too. */
  readonly bytes?: number
}

/** True when nothing would ever be removed. */
export const isEmpty = ({ age, bytes }: Policy): boolean => age === undefined && bytes === undefined

const Why = Schema.Literals(["age", "bytes"])

/** What stays of a run that was removed. Times are seconds since the Unix epoch; `points` and `bytes` are what it had. */
export const Removed = Schema.Struct({
  version: Schema.Literal(1),
  run: Run,
  status: Status,
  startedAt: Schema.Finite,
  endedAt: Schema.Finite,
  removedAt: Schema.Finite,
  /** The policy that it fell under, and who applied it. */
  why: Why,
  by: Schema.Struct({ host: Schema.String, pid: Schema.Int }),
  points: Schema.Int,
  bytes: Schema.Int,
  /** What each backend had taken, by its name. */
  backends: Schema.Record(Schema.String, Counts)
})
export interface Removed extends Schema.Schema.Type<typeof Removed> {}

const RemovedFile = Schema.fromJsonString(Removed)
const decodeRemoved = Schema.decodeUnknownResult(RemovedFile)
const encodeRemoved = Schema.encodeSync(RemovedFile)

/** A run as a policy sees it. `obstacle`: why it is never removed, for people. */
export interface Candidate {
  readonly id: RunId
  readonly name: string
  /** Seconds since the Unix epoch. */
  readonly endedAt: number
  readonly bytes: number
  readonly obstacle: string | undefined
}

export interface Choice {
  readonly candidate: Candidate
  readonly why: typeof Why.Type
}

/** Which runs go: those that ended too long ago, and then the oldest until the others are small enough. Oldest first. */
export const choose = (
  candidates: ReadonlyArray<Candidate>,
  { age, bytes }: Policy,
  nowSeconds: number
): ReadonlyArray<Choice> => {
  const oldest = candidates
    .filter(({ obstacle }) => obstacle === undefined)
    .toSorted((a, b) => a.endedAt - b.endedAt || (a.id < b.id ? -1 : 1))
  const before = age === undefined ? -Infinity : nowSeconds - Duration.toSeconds(age)
  let left = candidates.reduce((sum, candidate) => sum + candidate.bytes, 0)
  const chosen: Array<Choice> = []
  for (const candidate of oldest) {
    const why = candidate.endedAt < before ? "age" : bytes !== undefined && left > bytes ? "bytes" : undefined
    if (why === undefined) continue
    left -= candidate.bytes
    chosen.push({ candidate, why })
  }
  return chosen
}

/** All runs of the folder as a policy sees them. */
export const survey = (journal: Journal["Service"]): Effect.Effect<ReadonlyArray<Candidate>, StorageError> =>
  Effect.flatMap(journal.runs, (runs) => Effect.forEach(runs, (id) => Effect.scoped(candidateOf(journal, id))))

/** A run that cannot be read stays, since nobody knows what would be lost, and keeps no other one. */
const candidateOf = (journal: Journal["Service"], id: RunId): Effect.Effect<Candidate, never, Scope.Scope> =>
  Effect.gen(function* () {
    const run = yield* journal.open(id)
    const bytes = yield* Effect.orElseSucceed(journal.storage.folderBytes(RunFolder.path(journal, id)), () => 0)
    return yield* Effect.gen(function* () {
      const started = yield* run.started
      const { endedAt } = yield* run.standing(yield* run.writersNow)
      const obstacle = yield* obstacleOf(run, started)
      return { id, name: started?.run.name ?? id, endedAt: endedAt ?? Infinity, bytes, obstacle }
    }).pipe(
      Effect.catch(({ message }) =>
        Effect.succeed({ id, name: id, endedAt: Infinity, bytes, obstacle: `it cannot be read: ${message}` })
      )
    )
  })

const obstacleOf = (
  run: RunJournal,
  started: RunStarted | undefined
): Effect.Effect<string | undefined, StorageError> =>
  Effect.gen(function* () {
    if (started === undefined) return "it has no readable record of its start"
    const reason = yield* archiveObstacle(run)
    if (reason !== undefined) return reason
    for (const [name, cursor] of yield* run.cursors) {
      if (cursor !== "damaged" && cursor.counts.rejected > 0)
        return `${name} refused events of it, which only its dead letter has`
    }
    return undefined
  })

/**
 * Removes one run, with the record of it, unless something stands against that by now: then says what. Stores that cache it forget it first.
 * Should it stop anywhere, either all of the run is there, or none of it and its record.
 */
export const remove = (
  journal: Journal["Service"],
  { candidate: { id }, why }: Choice,
  targetsOf: (started: RunStarted) => Effect.Effect<Targets, never, Scope.Scope>
): Effect.Effect<Removed | { readonly obstacle: string }, StorageError | BackendError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage } = journal
      const run = yield* journal.open(id)
      if (!(yield* run.lock)) return { obstacle: "another process delivers it" }
      const started = yield* run.started
      const obstacle = yield* obstacleOf(run, started)
      if (obstacle !== undefined || started === undefined) return { obstacle: obstacle ?? "" }
      const { status, endedAt } = yield* run.standing(yield* run.writers)
      const backends: Array<readonly [string, Counts]> = []
      for (const [name, cursor] of yield* run.cursors) if (cursor !== "damaged") backends.push([name, cursor.counts])
      const record: Removed = {
        version: 1,
        run: { ...started.run, name: (yield* run.amended).name ?? started.run.name },
        status,
        startedAt: started.time,
        endedAt: endedAt ?? started.time,
        removedAt: (yield* Clock.currentTimeMillis) / 1000,
        why,
        by: { host: storage.host.name, pid: storage.host.pid },
        points: (yield* run.countFrom(new Map())).points,
        bytes: yield* storage.folderBytes(RunFolder.path(journal, id)),
        backends: Object.fromEntries(backends)
      }
      const records = storage.join(journal.folder, "removed")
      yield* storage.makeFolder(records)
      yield* storage.replace(storage.join(records, `${id}.json`), encodeText(encodeRemoved(record)), { sync: true })
      for (const target of (yield* targetsOf(started)).values()) {
        if ("backend" in target && target.backend.forget !== undefined) yield* target.backend.forget(id)
      }
      yield* RunFolder.hide(journal, id)
      yield* RunFolder.removeHidden(journal)
      return record
    })
  )

/** What an earlier removal left that was cut off: files of runs that were gone already, and records that never became one. */
export const clearUp = (journal: Journal["Service"]): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { folder, storage } = journal
    yield* RunFolder.removeHidden(journal)
    for (const name of yield* storage.list(storage.join(folder, "removed"))) {
      // Should another process be at it just now, it finds its file gone and leaves the run for the next time.
      if (/\.json\.[0-9a-f]+\.tmp$/.test(name)) yield* storage.remove(storage.join(folder, "removed", name))
    }
  })

/** Applies a policy: what is removed, and what was chosen and stays. */
export const apply = (
  journal: Journal["Service"],
  policy: Policy,
  targetsOf: (started: RunStarted) => Effect.Effect<Targets, never, Scope.Scope>
): Effect.Effect<ReadonlyArray<Removed>, StorageError> =>
  Effect.gen(function* () {
    if (isEmpty(policy)) return []
    yield* clearUp(journal)
    const chosen = choose(yield* survey(journal), policy, (yield* Clock.currentTimeMillis) / 1000)
    const removed: Array<Removed> = []
    for (const choice of chosen) {
      // One that cannot be removed keeps no other one.
      const outcome = yield* Effect.catch(remove(journal, choice, targetsOf), ({ message }) =>
        Effect.as(Effect.logWarning(`Retention could not remove run ${choice.candidate.id}: ${message}`), undefined)
      )
      if (outcome !== undefined && !("obstacle" in outcome)) removed.push(outcome)
    }
    return removed
  })

/** Records of runs that are gone, in no order. One that cannot be read is passed over, and so is that of a run that is there. */
export const removedRuns = (journal: Journal["Service"]): Effect.Effect<ReadonlyArray<Removed>, StorageError> =>
  Effect.gen(function* () {
    const { folder, storage } = journal
    const there = new Set<string>(yield* journal.runs)
    const records: Array<Removed> = []
    for (const name of yield* storage.list(storage.join(folder, "removed"))) {
      if (!name.endsWith(".json")) continue
      const bytes = yield* Effect.orElseSucceed(storage.read(storage.join(folder, "removed", name)), () => undefined)
      const record = bytes === undefined ? undefined : Result.getOrUndefined(decodeRemoved(decodeText(bytes)))
      if (record !== undefined && !there.has(record.run.id)) records.push(record)
    }
    return records
  })

const ageUnits: ReadonlyMap<string, number> = new Map([
  ["m", 60],
  ["h", 3_600],
  ["d", 86_400],
  ["w", 604_800]
])

const byteUnits: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["kB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
  ["TiB", 2 ** 40]
])

const amount = (text: string, units: ReadonlyMap<string, number>): number | undefined => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text.trim()) ?? []
  const factor = units.get(unit ?? "")
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor
}

/** `30d`, `12h`, `90m`, `2w`; `undefined` for anything else, a number without a unit too. */
export const ageFromText = (text: string): Duration.Duration | undefined => {
  const seconds = amount(text, ageUnits)
  return seconds === undefined ? undefined : Duration.seconds(seconds)
}

/** `10GB`, `500 MB`, `2GiB`, and plain bytes, `1000`; `undefined` for anything else. */
export const bytesFromText = (text: string): number | undefined =>
  /^\d+$/.test(text.trim()) ? Number(text) : amount(text, byteUnits)
