/**
 * One batch into the tables: what lies before the writer's mark is left out, points go to the run's tail in one row, all else to rows
 * of its own, and the mark and the counts move. To be called within one transaction.
 */
import { crc32 } from "node:zlib"
import type { Batch } from "@tracelet/core/Backend"
import { isBefore, type Mark } from "@tracelet/core/Cursor"
import type { Artifact, Console, Media, PointBatch, RunEvent, Single, Text } from "@tracelet/core/RunEvent"
import { countOf, slice } from "@tracelet/core/RunEvent"
import type { Rejected, WriteReport } from "@tracelet/core/WriteReport"
import { accepted } from "@tracelet/core/WriteReport"
import { makeTail } from "./bytes.ts"
import { compact } from "./compact.ts"
import { asNumber, type Connection } from "./Connection.ts"
import { Refused } from "./failures.ts"
import { toJson } from "./json.ts"
import { tailKey } from "./keys.ts"
import { readMark } from "./rows.ts"
import type { StreamIds } from "./StreamIds.ts"

/** Rows and points a tail may have before it is moved to chunks; a reader of one series has to look through all of them. */
const tailRowsMax = 1_024
const tailPointsMin = 16_384
const tailPointsMax = 1_048_576
/** With many series the tail may grow until it has this many points of each, so that a move is worth its rows. */
const tailPointsPerStream = 32

export interface OpenRow {
  /** The run's number in the store. */
  readonly run: number
  readonly streams: StreamIds
}

export const ingest = (connection: Connection, open: OpenRow, batch: Batch): WriteReport => {
  const mark = readMark(connection, open.run, batch.writer)
  if (!isBefore(mark, batch.to)) return accepted
  const points: Array<PointBatch> = []
  const rejected: Array<Rejected> = []
  let delivered = 0
  batch.events.forEach((event, index) => {
    const rest = after(event, mark)
    if (rest === undefined) return
    if (rest._tag === "PointBatch") {
      points.push(rest)
      delivered += rest.count
      return
    }
    const reason = insertSingle(connection, open.run, batch.writer, rest)
    if (reason === undefined) delivered += countOf(rest)
    else rejected.push({ event: index, index: 0, reason })
  })
  const pointCount = points.reduce((sum, { count }) => sum + count, 0)
  // A resend that overlaps in part does not say where the events lay that were filtered or put aside: they were counted with the first sending.
  const isResend = isBefore(batch.from, mark)
  const refused = rejected.length + (isResend ? 0 : batch.rejected)
  const tail = moveRun(connection, open.run, pointCount, delivered, refused, isResend ? 0 : batch.filtered)
  if (pointCount > 0) insertTail(connection, open, batch.writer, points, pointCount, tail.rows)
  moveMark(connection, open.run, batch.writer, batch.to)
  if (tail.rows + 1 >= tailRowsMax || tail.points >= tailLimit(open.streams.size)) compact(connection, open.run)
  return rejected.length === 0 ? accepted : { rejected, retryFrom: undefined }
}

const tailLimit = (streams: number): number =>
  Math.min(tailPointsMax, Math.max(tailPointsMin, streams * tailPointsPerStream))

/** What of an event lies at or behind the mark. */
const after = (event: RunEvent, mark: Mark): RunEvent | undefined => {
  if (event._tag !== "PointBatch") return event.position < mark.position ? undefined : event
  let first = 0
  while (
    first < event.count &&
    isBefore({ position: event.positions[first] ?? 0, index: event.indices[first] ?? 0 }, mark)
  ) {
    first++
  }
  if (first === event.count) return undefined
  return first === 0 ? event : slice(event, first, event.count)
}

/** Adds to the run's counts; a run that was closed is open again. Says what its tail had before, in rows, and has now, in points. */
const moveRun = (
  connection: Connection,
  run: number,
  points: number,
  delivered: number,
  rejected: number,
  filtered: number
): { readonly rows: number; readonly points: number } => {
  const row = connection
    .prepare(
      `UPDATE run SET points = points + ?1, tail_points = tail_points + ?1, tail_rows = tail_rows + (?1 > 0),
         delivered = delivered + ?2, rejected = rejected + ?3, filtered = filtered + ?4,
         status = 'running', ended_at = NULL, closed = 0
       WHERE run = ?5 RETURNING tail_rows - (?1 > 0) AS rows, tail_points AS points`
    )
    .get(points, delivered, rejected, filtered, run)
  if (row === undefined) {
    throw new Refused(
      "the run was taken out of the store while it was open",
      "Deliver it again: it is read from the start of its journals."
    )
  }
  return { rows: asNumber(row["rows"]), points: asNumber(row["points"]) }
}

const moveMark = (connection: Connection, run: number, writer: string, to: Mark): void => {
  connection.prepare("INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?)").run(run, writer, to.position, to.index)
}

const insertTail = (
  connection: Connection,
  { run, streams }: OpenRow,
  writer: string,
  batches: ReadonlyArray<PointBatch>,
  count: number,
  row: number
): void => {
  const { bytes, columns } = makeTail(count)
  let at = 0
  for (const batch of batches) {
    columns.steps.set(batch.steps.subarray(0, batch.count), at)
    columns.values.set(batch.values.subarray(0, batch.count), at)
    columns.times.set(batch.times.subarray(0, batch.count), at)
    let number = -1
    let stream = 0
    for (let i = 0; i < batch.count; i++) {
      const next = batch.series[i] ?? 0
      if (next !== number) {
        const series = batch.table.get(next)
        if (series === undefined) throw new Error(`series ${next} of writer ${writer} is not in the table of its batch`)
        number = next
        stream = streams.get(connection, run, writer, series)
      }
      columns.streams[at + i] = stream
    }
    at += batch.count
  }
  connection.prepare("INSERT INTO tail VALUES (?, ?, ?)").run(tailKey(run, row), bytes, crc32(bytes))
}

/** Inserts an event that is not points; says why not when it cannot be kept. Rows have the event's identity as their key. */
const insertSingle = (connection: Connection, run: number, writer: string, event: Single): string | undefined => {
  if (event._tag === "Params") {
    const insert = connection.prepare("INSERT OR IGNORE INTO param VALUES (?, ?, ?, ?, ?, ?)")
    return encoding(
      () => Object.entries(event.params).map(([key, value]) => [key, toJson(value)] as const),
      (values) => {
        for (const [key, json] of values) insert.run(run, key, writer, event.position, event.time, json)
      }
    )
  }
  if (event._tag === "Tags") {
    for (const [key, value] of Object.entries(event.tags)) setTag(connection, run, key, writer, event.time, value)
  } else if (event._tag === "Renamed") {
    renameRun(connection, run, writer, event.time, event.name)
  } else if (isKept(event)) {
    const { _tag, position, ...payload } = event
    const insert = connection.prepare("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?)")
    return encoding(
      () => toJson(payload),
      (json) => insert.run(run, _tag, writer, position, event.time, json)
    )
  }
  return undefined
}

/** Rows of the table `event`, which keeps them as JSON. */
const isKept = (event: Single): event is Single & (Text | Media | Artifact | Console) =>
  event._tag === "Text" || event._tag === "Media" || event._tag === "Artifact" || event._tag === "Console"

/** A value that is nested too deep for `JSON.stringify` is the one thing that is refused. */
const encoding = <A>(encode: () => A, insert: (encoded: A) => unknown): string | undefined => {
  let encoded: A
  try {
    encoded = encode()
  } catch (failure) {
    if (failure instanceof RangeError) return `it cannot be written as JSON: ${failure.message}`
    throw failure
  }
  insert(encoded)
  return undefined
}

/** The name of the greatest time counts, of equal times that of the greater writer; within one writer its last. */
const renameRun = (connection: Connection, run: number, writer: string, time: number, name: string): void => {
  connection
    .prepare(
      `UPDATE run SET name = ?1, renamed_at = max(?2, ifnull(renamed_at, ?2)), renamed_by = ?3
       WHERE run = ?4 AND (renamed_at IS NULL OR renamed_by = ?3 OR (renamed_at, renamed_by) < (?2, ?3))`
    )
    .run(name, time, writer, run)
}

/** One row a writer: its latest value, null where it took the tag away, at the greatest time. Over all writers the latest counts. */
export const setTag = (
  connection: Connection,
  run: number,
  key: string,
  writer: string,
  time: number,
  value: string | null
): void => {
  connection
    .prepare(
      `INSERT INTO tag VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (run, key, writer) DO UPDATE SET time = max(time, excluded.time), value = excluded.value`
    )
    .run(run, key, writer, time, value)
}
