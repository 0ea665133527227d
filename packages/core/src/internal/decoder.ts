/**
 * Records to events: the one loop that walks a segment's bytes (journal.md §3–5). It reads from a buffer that somebody filled, keeps what
 * the next bytes of the same segment need (series, gap under way), and appends what it finds to a `Collected`.
 *
 * The measured hot path: a million points a second must be a small part of what this does (bench/journal). Columns, no objects per point.
 */
import { columnsMax, isStep } from "../Point.ts"
import type { Losses, Mark } from "../Cursor.ts"
import type { Payload, PointBatch, RunEvent } from "../RunEvent.ts"
import type { Series, SeriesTable } from "../Series.ts"
import { align8, decodeJson, getInt64 } from "./bytes.ts"
import { crc32, recordSeed } from "./crc32.ts"
import {
  isJsonKind,
  kind,
  payloadToEvent,
  pointLength,
  pointsLength,
  prefixLength,
  recordLengthMax,
  spilledTo
} from "./records.ts"
import type { Header } from "./segment.ts"
import { SeriesRecords } from "./seriesRecords.ts"

/** A record whose payload lies in a blob: whoever drives the decoder fetches it and puts the event in its place. */
export interface Spilled {
  readonly _tag: "Spilled"
  readonly kind: number
  readonly position: number
  readonly sha256: string
}

export const noLosses: Losses = { gapBytes: 0, unknown: 0, damaged: 0 }

export const addLosses = (a: Losses, b: Losses): Losses => ({
  gapBytes: a.gapBytes + b.gapBytes,
  unknown: a.unknown + b.unknown,
  damaged: a.damaged + b.damaged
})

/** Most of one batch: points (each other event counts as one), and bytes of payload of the other events. */
export interface Limits {
  readonly points: number
  readonly bytes: number
}

/** Events of one writer, in order, until there is no `room`. */
export class Collected {
  readonly events: Array<RunEvent | Spilled> = []
  gapBytes = 0
  unknown = 0
  damaged = 0
  /** Points and other events so far. */
  size = 0
  private columns: Columns | undefined
  private bytes = 0
  private readonly limits: Limits
  private readonly expected: number

  /** @param expected - points that are likely to come: their columns are made at once, and not grown into */
  constructor(limits: Limits, expected = 0) {
    this.limits = limits
    this.expected = expected
  }

  /** Points that still fit. */
  get room(): number {
    return this.bytes >= this.limits.bytes ? 0 : this.limits.points - this.size
  }

  get losses(): Losses {
    return { gapBytes: this.gapBytes, unknown: this.unknown, damaged: this.damaged }
  }

  /** Columns with room for `points` more, of the series in `table`. */
  columnsFor(points: number, table: SeriesTable): Columns {
    if (this.columns === undefined || this.columns.table !== table) {
      this.flush()
      this.columns = new Columns(table, Math.min(this.expected, this.room))
    }
    this.columns.reserve(points)
    return this.columns
  }

  /** Ends the batch of points under way, so that what follows stands behind it. */
  flush(): void {
    if (this.columns !== undefined && this.columns.count > 0) this.events.push(this.columns.toBatch())
    this.columns = undefined
  }

  push(event: Exclude<RunEvent, PointBatch> | Spilled, bytes: number): void {
    this.flush()
    this.events.push(event)
    this.bytes += bytes
    this.size++
  }
}

/** Growing columns of one batch. */
class Columns {
  count = 0
  private capacity: number
  series: Uint32Array
  steps: Float64Array
  values: Float64Array
  times: Float64Array
  positions: Float64Array
  indices: Uint16Array
  readonly table: SeriesTable

  constructor(table: SeriesTable, expected: number) {
    this.table = table
    // Small where nothing is known: most batches between two other events are short.
    this.capacity = Math.max(64, expected)
    this.series = new Uint32Array(this.capacity)
    this.steps = new Float64Array(this.capacity)
    this.values = new Float64Array(this.capacity)
    this.times = new Float64Array(this.capacity)
    this.positions = new Float64Array(this.capacity)
    this.indices = new Uint16Array(this.capacity)
  }

  reserve(points: number): void {
    if (this.count + points <= this.capacity) return
    this.capacity = Math.max(this.capacity * 4, this.count + points)
    const grown = <A extends { set(from: A): void }>(to: A, from: A): A => {
      to.set(from)
      return to
    }
    this.series = grown(new Uint32Array(this.capacity), this.series)
    this.steps = grown(new Float64Array(this.capacity), this.steps)
    this.values = grown(new Float64Array(this.capacity), this.values)
    this.times = grown(new Float64Array(this.capacity), this.times)
    this.positions = grown(new Float64Array(this.capacity), this.positions)
    this.indices = grown(new Uint16Array(this.capacity), this.indices)
  }

  toBatch(): PointBatch {
    const n = this.count
    return {
      _tag: "PointBatch",
      count: n,
      series: this.series.subarray(0, n),
      steps: this.steps.subarray(0, n),
      values: this.values.subarray(0, n),
      times: this.times.subarray(0, n),
      positions: this.positions.subarray(0, n),
      indices: this.indices.subarray(0, n),
      table: this.table
    }
  }
}

/**
 * Why `decode` stopped:
 * - `more`: the buffer ends before the record does; read on from `offset`.
 * - `wait`: nothing (good) is there yet, and the segment is not final.
 * - `full`: `Collected` has no room for the record at `offset`.
 * - `end`: the segment is final and read to its end.
 */
export type Stop = "more" | "wait" | "full" | "end"

export interface DecodeOptions {
  /** Scan past what is not good instead of waiting there (J4.2). */
  readonly final: boolean
  /** The file ends where the bytes do. */
  readonly atEnd: boolean
  /** Records before this mark are passed over, but for the names of their series (J4.6). */
  readonly from: Mark
  /** Records from this position on are not committed (J13.3); without it every record counts. */
  readonly until?: number
}

/** One segment being read. Its offsets are file offsets. */
export class SegmentDecoder {
  /** Where the next record is looked for. */
  offset: number
  /** Points of the record at `offset` that were taken already. */
  index = 0
  /** Where the last good record ended: a gap begins there. */
  private goodUntil: number
  /** Bytes of the gap behind the last good record, once the segment was read to its end. */
  trailingGap = 0
  /** Behind the last eight bytes since `goodUntil` that are not all zeros; 0 when there are none. */
  private dirtyUntil = 0
  private readonly table = new Map<number, Series>()
  private readonly records: SeriesRecords
  readonly header: Header

  /** @param records - those of the writer, from its segments before this one */
  constructor(header: Header, records: SeriesRecords = new SeriesRecords()) {
    this.records = records
    this.header = header
    this.offset = header.length
    this.goodUntil = header.length
  }

  positionOf(offset: number): number {
    return this.header.streamOffset + offset - this.header.length
  }

  /** Behind what was read: behind the last good record, or within the one that was taken in part. */
  get mark(): Mark {
    return this.index > 0
      ? { position: this.positionOf(this.offset), index: this.index }
      : { position: this.goodPosition, index: 0 }
  }

  /** Position behind the last good record. */
  get goodPosition(): number {
    return this.positionOf(this.goodUntil)
  }

  /** Reads on from `this.offset` in `bytes[0, length)`, which are the file's from offset `base` on; `view` is on the same bytes. */
  decode(
    bytes: Uint8Array,
    view: DataView,
    base: number,
    length: number,
    options: DecodeOptions,
    into: Collected
  ): Stop {
    const end = base + length
    const { salt } = this.header
    const { until = Number.POSITIVE_INFINITY } = options
    for (;;) {
      const at = this.offset - base
      if (this.positionOf(this.offset) >= until) return options.final ? "end" : "wait"
      if (this.offset + prefixLength + 4 > end) {
        // Too short for any record: with a final segment's end reached, what is left is unused or torn.
        if (options.final && options.atEnd) {
          for (let i = at; i < length; i++) if (bytes[i] !== 0) this.dirtyUntil = this.offset + align8(i - at + 1)
          this.offset = end
          this.finish(into)
          return "end"
        }
        return options.atEnd ? "wait" : "more"
      }
      const recordLength = view.getUint32(at, true)
      const whole = prefixLength + recordLength
      const fits = recordLength >= 4 && recordLength <= recordLengthMax
      if (fits && this.offset + whole > end && !options.atEnd) return "more"
      const position = this.positionOf(this.offset)
      const good =
        fits &&
        this.offset + whole <= end &&
        crc32(bytes, at + prefixLength, at + whole, recordSeed(salt, position)) === view.getUint32(at + 4, true)
      if (!good) {
        if (!options.final) return "wait"
        // Scan on in steps of 8 (J4.3); zeros alone are no gap until something follows them (J4.4).
        if (view.getUint32(at, true) !== 0 || view.getUint32(at + 4, true) !== 0) this.dirtyUntil = this.offset + 8
        this.offset += 8
        continue
      }
      const next = this.offset + align8(whole)
      const recordKind = view.getUint32(at + 8, true)
      if (recordKind === kind.point) {
        if (position >= options.from.position) {
          if (into.room <= 0) return "full"
          this.point(view, at + 12, recordLength, position, into)
        }
      } else if (recordKind === kind.points) {
        if (
          position >= options.from.position &&
          !this.points(view, at + 12, recordLength, position, options.from, into)
        )
          return "full"
      } else if (recordKind === kind.series) {
        this.series(bytes.subarray(at + 12, at + whole), position >= options.from.position, into)
      } else if (position >= options.from.position && recordKind !== kind.continued) {
        if (into.room <= 0) return "full"
        this.json(recordKind, bytes.subarray(at + 12, at + whole), position, into)
      }
      if (this.offset > this.goodUntil && position >= options.from.position)
        into.gapBytes += this.offset - this.goodUntil
      this.goodUntil = next
      this.dirtyUntil = 0
      this.offset = next
      this.index = 0
    }
  }

  /** The segment is over: a gap behind the last good record ends with the last bytes that are no zeros (J4.4). */
  private finish(into: Collected): void {
    if (this.dirtyUntil === 0) return
    this.trailingGap = this.dirtyUntil - this.goodUntil
    into.gapBytes += this.trailingGap
    this.dirtyUntil = 0
  }

  private point(view: DataView, at: number, length: number, position: number, into: Collected): void {
    const number = view.getUint32(at, true)
    const step = length === pointLength ? getInt64(view, at + 4) : NaN
    if (!isStep(step) || !this.table.has(number)) {
      into.damaged++
      return
    }
    const columns = into.columnsFor(1, this.table)
    const i = columns.count++
    into.size++
    columns.series[i] = number
    columns.steps[i] = step
    columns.values[i] = view.getFloat64(at + 12, true)
    columns.times[i] = view.getFloat64(at + 20, true)
    columns.positions[i] = position
  }

  /** False when there is room for none of them; `this.index` then says how many were taken before. */
  private points(view: DataView, at: number, length: number, position: number, from: Mark, into: Collected): boolean {
    const count = view.getUint32(at, true)
    if (count < 1 || count > columnsMax || length !== pointsLength(count)) {
      into.damaged++
      return true
    }
    const first = position === from.position ? Math.max(this.index, from.index) : this.index
    const taken = Math.min(count - first, into.room)
    if (taken <= 0 && first < count) return false
    const steps = at + 4
    const values = steps + 8 * count
    const times = values + 8 * count
    const series = times + 8 * count
    const columns = into.columnsFor(taken, this.table)
    let to = columns.count
    let damaged = 0
    for (let i = first; i < first + taken; i++) {
      const number = view.getUint32(series + 4 * i, true)
      const step = getInt64(view, steps + 8 * i)
      if (!isStep(step) || !this.table.has(number)) {
        damaged++
        continue
      }
      columns.series[to] = number
      columns.steps[to] = step
      columns.values[to] = view.getFloat64(values + 8 * i, true)
      columns.times[to] = view.getFloat64(times + 8 * i, true)
      columns.positions[to] = position
      columns.indices[to] = i
      to++
    }
    columns.count = to
    into.size += taken - damaged
    into.damaged += damaged
    this.index = first + taken
    return this.index === count
  }

  private series(payload: Uint8Array, counts: boolean, into: Collected): void {
    const record = this.records.decode(payload)
    if (record !== undefined) this.table.set(record.number, record.series)
    else if (counts) into.damaged++
  }

  private json(recordKind: number, payload: Uint8Array, position: number, into: Collected): void {
    if (!isJsonKind(recordKind)) {
      into.unknown++
      return
    }
    const json = decodeJson(payload)
    const sha256 = spilledTo(json)
    if (sha256 !== undefined) {
      into.push({ _tag: "Spilled", kind: recordKind, position, sha256 }, 0)
      return
    }
    const event = payloadToEvent(recordKind, json)
    if (event === undefined) into.damaged++
    else into.push(withPosition(event, position), payload.length)
  }
}

export const withPosition = <E extends Payload>(event: E, position: number): E & { readonly position: number } => ({
  ...event,
  position
})
