/**
 * Points as bytes. A chunk's blob is three float64 columns of equal length (steps, values, times); a row of the tail has a fourth, the
 * stream of each point as uint32. Little-endian, as every platform of Node's that tracelet runs on.
 */
import { crc32 } from "node:zlib"
import type { SQLOutputValue } from "node:sqlite"
import type { Columns } from "../LocalReader.ts"
import { asBlob, UnexpectedRow } from "./Connection.ts"

const chunkPointBytes = 24
const tailPointBytes = 28

/** Points of one writer, of several series; `streams` says of which. */
export interface TailColumns extends Columns {
  readonly streams: Uint32Array
}

/** `count` float64s from `offset`: a view where the alignment allows one. */
export const float64 = (bytes: Uint8Array, offset: number, count: number): Float64Array => {
  if (bytes.byteLength < offset + count * 8) throw new UnexpectedRow("a blob is shorter than its points")
  const start = bytes.byteOffset + offset
  return start % 8 === 0
    ? new Float64Array(bytes.buffer, start, count)
    : new Float64Array(bytes.slice(offset, offset + count * 8).buffer)
}

/** A row with a blob of points, as it is selected. */
export interface PointsRow {
  readonly columns?: SQLOutputValue
  readonly checksum?: SQLOutputValue
}

/** The row's blob, when it is what was written (S3.7). */
const verified = ({ checksum, columns }: PointsRow): Uint8Array => {
  const bytes = asBlob(columns)
  if (checksum !== null && checksum !== crc32(bytes)) throw new UnexpectedRow("points have changed on the disk")
  return bytes
}

export const readChunk = (row: PointsRow): Columns => {
  const bytes = verified(row)
  const count = bytes.byteLength / chunkPointBytes
  if (!Number.isInteger(count)) throw new UnexpectedRow("the length of a chunk is not a multiple of 24")
  return {
    count,
    steps: float64(bytes, 0, count),
    values: float64(bytes, count * 8, count),
    times: float64(bytes, count * 16, count)
  }
}

/** Points of a full chunk. */
export const chunkPoints = 512

/** One for all chunks: a buffer for each is 24 MB of garbage a million points, in pieces that the allocator does not give back. */
const chunk = new Float64Array((chunkPoints * chunkPointBytes) / 8)

/** The blob of points `from` to `to`, at most `chunkPoints` of them: good until the next call, and SQLite has copied it by then. */
export const writeChunk = (columns: Columns, from: number, to: number): Uint8Array => {
  const count = to - from
  chunk.set(columns.steps.subarray(from, to), 0)
  chunk.set(columns.values.subarray(from, to), count)
  chunk.set(columns.times.subarray(from, to), count * 2)
  return new Uint8Array(chunk.buffer, 0, count * chunkPointBytes)
}

/** One for all rows, as for chunks; as long as the longest row so far. */
let tail = new ArrayBuffer(0)

/** Room for `count` points, and the bytes they are written to: good until the next call. */
export const makeTail = (count: number): { readonly bytes: Uint8Array; readonly columns: TailColumns } => {
  const length = count * tailPointBytes
  if (tail.byteLength < length) tail = new ArrayBuffer(length)
  const bytes = new Uint8Array(tail, 0, length)
  return { bytes, columns: viewTail(bytes) }
}

export const readTail = (row: PointsRow): TailColumns => viewTail(verified(row))

const viewTail = (bytes: Uint8Array): TailColumns => {
  const count = bytes.byteLength / tailPointBytes
  if (!Number.isInteger(count)) throw new UnexpectedRow("the length of a tail row is not a multiple of 28")
  const streams = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  return {
    count,
    steps: float64(bytes, 0, count),
    values: float64(bytes, count * 8, count),
    times: float64(bytes, count * 16, count),
    streams: new Uint32Array(streams.buffer, streams.byteOffset + count * 24, count)
  }
}

export const makeColumns = (count: number): Columns => ({
  count,
  steps: new Float64Array(count),
  values: new Float64Array(count),
  times: new Float64Array(count)
})

/** Copies points `from` to `to` of `source` to `target`, from `at` on. */
export const copyColumns = (target: Columns, at: number, source: Columns, from: number, to: number): void => {
  target.steps.set(source.steps.subarray(from, to), at)
  target.values.set(source.values.subarray(from, to), at)
  target.times.set(source.times.subarray(from, to), at)
}

/** Copies point `from` of `source` to `at` in `target`. */
export const copyPoint = (target: Columns, at: number, source: Columns, from: number): void => {
  target.steps[at] = source.steps[from] ?? 0
  target.values[at] = source.values[from] ?? NaN
  target.times[at] = source.times[from] ?? 0
}
