/**
 * How runs stand, for every command that lists or shows one: what the store has, what the journals say of status and backlog, and what an
 * agent knows of the runs it delivers. Status is the journals' to say: the store only knows the last close.
 */
import * as Effect from "effect/Effect"
import { LocalReader, type RunRow } from "@tracelet/backend-local/LocalReader"
import type { BackendError } from "@tracelet/core/BackendError"
import { noCounts, uncertainty, type Pin } from "@tracelet/core/Cursor"
import type { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Pipeline from "@tracelet/core/Pipeline"
import type { RunStarted } from "@tracelet/core/RunEvent"
import type { RunJournal } from "@tracelet/core/RunJournal"
import type { Found } from "./Agents.ts"
import * as CatchUp from "./CatchUp.ts"
import * as Distribution from "./Distribution.ts"
import * as Format from "./Format.ts"
import type { Known } from "./Lookup.ts"
import * as Losses from "./Losses.ts"
import type * as Output from "./Output.ts"

/** A run with its times as numbers, for tables. Seconds since the Unix epoch; `endedAt` is undefined while it runs. */
export interface Report extends Output.Run {
  readonly startedSeconds: number
  readonly endedSeconds: number | undefined
  /** The store was given less than was captured, by a route or by processors. */
  readonly isThinned: boolean
}

type ReportError = StorageError | BackendError

/** Runs looked at once: the locks of the living are asked, 150 ms each. */
const concurrency = 16

/** Newest first. A run whose first record cannot be read (yet) and that the store does not know has no report. */
export const reports = (
  ids: Iterable<string>,
  known: Known,
  agent: Found
): Effect.Effect<ReadonlyArray<Report>, ReportError, Journal | LocalReader> =>
  Effect.map(
    Effect.forEach(
      ids,
      (id) =>
        Effect.catchIf(reportOf(id, known, agent), isUnreadable, () => {
          const row = known.rows.get(id)
          return Effect.succeed(row === undefined ? undefined : forgotten(row))
        }),
      { concurrency }
    ),
    (all) =>
      all
        .filter((one) => one !== undefined)
        .toSorted((a, b) => b.startedSeconds - a.startedSeconds || (a.id < b.id ? -1 : 1))
  )

/** Its journals cannot be read (journal.md J11.6): the store is what is left of it, and the other runs are shown as ever. */
const isUnreadable = (error: ReportError): error is StorageError => error._tag === "StorageError"

const reportOf = (id: string, { journals, rows, current }: Known, agent: Found) =>
  Effect.gen(function* () {
    const row = rows.get(id)
    const run = journals.get(id)
    if (run === undefined) return row === undefined ? undefined : forgotten(row)
    const isCurrent = current.has(id) || (yield* CatchUp.isCurrent(run.id, row))
    const started = yield* run.started
    if (started === undefined) return row === undefined ? undefined : forgotten(row)
    const standing =
      isCurrent && row !== undefined
        ? { status: row.status, endedAt: row.endedAt ?? undefined }
        : yield* run.standing(yield* run.writersNow)
    const behind = isCurrent ? nothing : yield* behindStore(run)
    const view = agent.state === "running" ? agent.agent.status.runs.find((one) => one.id === id) : undefined
    const trouble = yield* CatchUp.StoreTrouble
    const storeCursor = yield* run.cursor(CatchUp.localName(started))
    const isThinned =
      trouble === undefined && storeCursor !== undefined && storeCursor !== "damaged" && isThinning(storeCursor.pin)
    const captured = isThinned ? (yield* run.countFrom(new Map())).points : (row?.points ?? 0) + behind.points
    const total = CatchUp.before(row?.counts) + behind.events
    const inStore: Output.Backend = {
      ...(trouble === undefined
        ? ofStore(row, behind.events)
        : { delivered: 0, pending: total, deadLetter: 0, state: "held", reason: trouble }),
      ...Losses.ofCursor(storeCursor)
    }
    const backends = yield* backendsOf(run, started, inStore, total, view?.backends)
    return toReport({
      id,
      project: started.run.project,
      name: row?.name ?? (yield* run.amended).name ?? started.run.name,
      status: standing.status,
      startedSeconds: started.time,
      endedSeconds: standing.endedAt,
      tags: Object.fromEntries(row?.tags ?? Object.entries(started.run.tags)),
      points: captured,
      backends,
      isThinned
    })
  })

const nothing = { events: 0, points: 0 }

const isThinning = ({ route, processors }: Pin): boolean => route !== null || processors.length > 0

/** What the journals hold and the store does not (yet). */
const behindStore = (run: RunJournal) =>
  Effect.gen(function* () {
    const confirmed = yield* (yield* LocalReader).confirmed(run.id)
    return yield* run.countFrom(confirmed?.marks ?? new Map())
  })

const backendsOf = (
  run: RunJournal,
  started: RunStarted,
  inStore: Output.Backend,
  total: number,
  seen: Output.Backends | undefined
) =>
  Effect.gen(function* () {
    const entries: Array<[string, Output.Backend]> = []
    // A run whose record of the start is lost names no backend; what else was lost of it is said with the store that commands read.
    const isSalvaged = started.backends.length === 0 && Losses.ofCursor(yield* run.cursor("local")).losses !== undefined
    const named = isSalvaged ? [{ name: "local", plugin: CatchUp.storeId }] : started.backends
    const localName = CatchUp.localName(started)
    for (const { name, plugin } of named) {
      const lane = seen?.[name]
      const standing =
        plugin === CatchUp.storeId && name === localName
          ? asSeen(inStore, lane)
          : seenOr(orMissing(plugin, yield* ofCursor(run, name, total)), lane)
      entries.push([name, standing])
    }
    return Object.fromEntries(entries)
  })

/**
 * What a cursor file says. Its backlog is what is left of all events, since the store has counted those: to count the journal for each
 * backend again takes a second for some million points.
 */
const ofCursor = (run: RunJournal, name: string, total: number): Effect.Effect<Output.Backend, StorageError> =>
  Effect.flatMap(run.cursor(name), (cursor) => {
    if (cursor === "damaged") return Pipeline.standingFromCursor(run, name)
    const counts = cursor?.counts ?? noCounts
    const pending = Math.max(0, total - CatchUp.before(counts))
    const state = cursor?.closed === true && pending === 0 ? "done" : "idle"
    const standing = { delivered: counts.delivered, pending, deadLetter: counts.rejected, state } as const
    const reason = cursor === undefined ? undefined : uncertainty(cursor)
    return Effect.succeed({ ...standing, ...(reason === undefined ? {} : { reason }), ...Losses.ofCursor(cursor) })
  })

/**
 * What a host says of its lane is newer than the cursor; not so where it has none because it lacks the backend: then the cursor knows what was
 * delivered, and the host what is wrong, unless all is done.
 */
export const seenOr = (standing: Output.Backend, lane: Output.Backend | undefined): Output.Backend => {
  if (lane === undefined) return standing
  if (lane.state !== "missing" && lane.state !== "error") {
    return standing.losses === undefined ? lane : { ...lane, losses: standing.losses }
  }
  if (standing.state === "done") return standing
  const { reason } = lane
  return { ...standing, state: lane.state, ...(reason === undefined ? {} : { reason }) }
}

/** The store's own counts are newer than what an agent says of it; what stands in the way only the agent knows. */
export const asSeen = (standing: Output.Backend, lane: Output.Backend | undefined): Output.Backend =>
  lane?.reason === undefined ? standing : { ...standing, state: lane.state, reason: lane.reason }

/** A cursor does not know whether its backend is to be had. */
const orMissing = (plugin: string, standing: Output.Backend): Output.Backend =>
  standing.state === "done" || Distribution.backends.some(({ id }) => id === plugin)
    ? standing
    : { ...standing, ...Distribution.missing(plugin) }

const ofStore = (row: RunRow | undefined, pending: number): Output.Backend => ({
  delivered: row?.counts.delivered ?? 0,
  pending,
  deadLetter: row?.counts.rejected ?? 0,
  state: row?.closed === true && pending === 0 ? "done" : "idle"
})

/** A run whose journals are gone: the store is all that is left of it. */
const forgotten = (row: RunRow): Report =>
  toReport({
    id: row.id,
    project: row.project,
    name: row.name,
    status: row.status,
    startedSeconds: row.startedAt,
    endedSeconds: row.endedAt ?? undefined,
    tags: Object.fromEntries(row.tags),
    points: row.points,
    backends: { local: ofStore(row, 0) },
    isThinned: false
  })

const toReport = (run: Omit<Report, "startedAt" | "endedAt">): Report => ({
  ...run,
  startedAt: Format.iso(run.startedSeconds),
  endedAt: run.endedSeconds === undefined ? null : Format.iso(run.endedSeconds)
})

/** What `--json` prints of a report, with its keys in the order of the contract. */
export const toOutput = (report: Report): Output.Run => ({ ...withoutBackends(report), backends: report.backends })

export const withoutBackends = ({ id, project, name, status, startedAt, endedAt, tags, points }: Report) => ({
  id,
  project,
  name,
  status,
  startedAt,
  endedAt,
  tags,
  points
})

/** Events per backend over several runs. */
export const sums = (runs: Iterable<{ readonly backends: Output.Backends }>): typeof Output.BackendSums.Type => {
  const sumByName = new Map<string, Output.BackendSum>()
  for (const { backends } of runs) {
    for (const [name, { delivered, pending, deadLetter, reason, losses }] of Object.entries(backends)) {
      const sum = sumByName.get(name) ?? { delivered: 0, pending: 0, deadLetter: 0, runs: 0, reasons: [] }
      sumByName.set(name, {
        delivered: sum.delivered + delivered,
        pending: sum.pending + pending,
        deadLetter: sum.deadLetter + deadLetter,
        runs: sum.runs + (pending > 0 ? 1 : 0),
        reasons: reason === undefined || sum.reasons.includes(reason) ? sum.reasons : [...sum.reasons, reason],
        ...(losses === undefined && sum.losses === undefined ? {} : { losses: Losses.add(sum.losses, losses) })
      })
    }
  }
  return Object.fromEntries([...sumByName].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
