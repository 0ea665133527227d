/**
 * Moves a run's tail into chunks. A write only appends one row to the tail, whatever number of series it has; once the tail has grown,
 * the points of each stream go into chunks of 512.
 *
 * What does not fill a chunk becomes a small one at the stream's end. The next move takes it up again when it is at most four times as
 * large as what it then adds: so a point is copied O(log 512) times, not once a move, and a stream has few small chunks, each more than
 * four times as large as the one behind it.
 */
import { crc32 } from "node:zlib"
import type { Columns } from "../LocalReader.ts"
import { chunkPoints, copyColumns, makeColumns, readChunk, readTail, writeChunk, type TailColumns } from "./bytes.ts"
import { asNumber, type Connection } from "./Connection.ts"
import { chunkKey, tailKey } from "./keys.ts"
import * as Summary from "./Summary.ts"

/** How much smaller an addition may be than the small chunk it is merged into. */
const mergeRatio = 4

/** Moves everything; the run's row has no tail afterwards. */
export const compact = (connection: Connection, run: number): void => {
  const tail = readTailOf(connection, run)
  const grouped = groupByStream(tail)
  for (const { columns, stream } of grouped) append(connection, stream, columns)
  connection.prepare("DELETE FROM tail WHERE tail >= ? AND tail < ?").run(tailKey(run, 0), tailKey(run + 1, 0))
  connection.prepare("UPDATE run SET tail_rows = 0, tail_points = 0 WHERE run = ?").run(run)
}

/** The rows of a run's tail, oldest first. */
export const readTailOf = (connection: Connection, run: number): ReadonlyArray<TailColumns> =>
  connection
    .prepare("SELECT columns, checksum FROM tail WHERE tail >= ? AND tail < ? ORDER BY tail")
    .all(tailKey(run, 0), tailKey(run + 1, 0))
    .map(readTail)

/** A counting sort: stable, so each stream keeps its order. */
export const groupByStream = (
  tail: ReadonlyArray<TailColumns>
): ReadonlyArray<{ readonly stream: number; readonly columns: Columns }> => {
  const counts = new Map<number, number>()
  for (const { count, streams } of tail) {
    for (let i = 0; i < count; i++) {
      const stream = streams[i] ?? 0
      counts.set(stream, (counts.get(stream) ?? 0) + 1)
    }
  }
  const groups = new Map<number, { readonly stream: number; readonly columns: Columns; filled: number }>()
  for (const stream of [...counts.keys()].toSorted((a, b) => a - b)) {
    groups.set(stream, { stream, columns: makeColumns(counts.get(stream) ?? 0), filled: 0 })
  }
  for (const { count, steps, streams, times, values } of tail) {
    for (let i = 0; i < count; i++) {
      const group = groups.get(streams[i] ?? 0)
      if (group === undefined) continue
      const { columns, filled } = group
      columns.steps[filled] = steps[i] ?? 0
      columns.values[filled] = values[i] ?? NaN
      columns.times[filled] = times[i] ?? 0
      group.filled = filled + 1
    }
  }
  return [...groups.values()]
}

const append = (connection: Connection, stream: number, added: Columns): void => {
  const row = connection.prepare("SELECT chunks, last_points, summary FROM stream WHERE stream = ?").get(stream)
  const summary = row?.["summary"] instanceof Uint8Array ? Summary.fromBytes(row["summary"]) : Summary.empty()
  const chunks = asNumber(row?.["chunks"])
  const parts = [added]
  let count = added.count
  let first = chunks
  for (let last = asNumber(row?.["last_points"]); first > 0 && last < chunkPoints && last <= count * mergeRatio;) {
    const taken = connection
      .prepare("SELECT columns, checksum FROM chunk WHERE chunk = ?")
      .get(chunkKey(stream, --first))
    parts.unshift(readChunk(taken ?? {}))
    count += last
    if (first > 0) last = pointsOf(connection, chunkKey(stream, first - 1))
  }
  const all = parts.length === 1 ? added : concatenate(parts, count)
  let end = first
  for (let from = 0; from < count; from += chunkPoints) {
    putChunk(connection, chunkKey(stream, end++), all, from, Math.min(from + chunkPoints, count))
  }
  if (end < chunks) {
    connection
      .prepare("DELETE FROM chunk WHERE chunk >= ? AND chunk < ?")
      .run(chunkKey(stream, end), chunkKey(stream, chunks))
  }
  Summary.add(summary, added, 0, added.count)
  connection
    .prepare("UPDATE stream SET chunks = ?, last_points = ?, summary = ? WHERE stream = ?")
    .run(end, count % chunkPoints || chunkPoints, Summary.toBytes(summary), stream)
}

const pointsOf = (connection: Connection, chunk: number): number =>
  asNumber(connection.prepare("SELECT points FROM chunk WHERE chunk = ?").get(chunk)?.["points"])

export const concatenate = (parts: ReadonlyArray<Columns>, count: number): Columns => {
  const all = makeColumns(count)
  let at = 0
  for (const part of parts) {
    copyColumns(all, at, part, 0, part.count)
    at += part.count
  }
  return all
}

const putChunk = (connection: Connection, key: number, columns: Columns, from: number, to: number): void => {
  let min = Infinity
  let max = -Infinity
  let nans = 0
  let stepMin = Infinity
  let stepMax = -Infinity
  for (let i = from; i < to; i++) {
    const value = columns.values[i] ?? NaN
    const step = columns.steps[i] ?? 0
    if (value < min) min = value
    if (value > max) max = value
    if (value !== value) nans++
    if (step < stepMin) stepMin = step
    if (step > stepMax) stepMax = step
  }
  const hasValues = nans < to - from
  const blob = writeChunk(columns, from, to)
  connection
    .prepare("INSERT OR REPLACE INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .run(
      key,
      to - from,
      nans,
      stepMin,
      stepMax,
      hasValues ? min : null,
      hasValues ? max : null,
      columns.values[from] ?? NaN,
      columns.values[to - 1] ?? NaN,
      blob,
      crc32(blob)
    )
}
