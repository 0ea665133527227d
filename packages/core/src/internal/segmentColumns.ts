/**
 * A piece of a segment as columns, and back, byte for byte (journal.md §11). Points lose what can be computed again (length, checksum, kind)
 * and are laid out so that a compressor finds what repeats: differences to the point before, byte by byte in planes. Every other record
 * keeps its bytes, and so does what is no record at all.
 *
 * Both directions are checked: what comes from a disk may be anything.
 */
import { columnsMax } from "../Point.ts"
import { align8 } from "./bytes.ts"
import { crc32, recordSeed } from "./crc32.ts"
import { kind, pointLength, pointsLength, prefixLength, recordLengthMax } from "./records.ts"

/** What of a segment's header decides the checksums of its records. */
export interface Origin {
  readonly salt: number
  /** Position of the segment's first byte, as if positions began there: stream offset less H. */
  readonly origin: number
}

/** Parts of a piece, in order: `n * 4 + tag`. */
const part = {
  /** n bytes as they are. */
  raw: 0,
  /** n *point* records. */
  point: 1,
  /** One *points* record of n points. */
  points: 2,
  /** One record of another kind, L = n, and zeros up to a multiple of 8. */
  record: 3
} as const

const wholePoint = prefixLength + pointLength
/** Counts of parts, points and bytes of the rest. */
const fixedLength = 12
/** Bytes of a point in columns: series, step, value, time. */
const pointWidth = 4 + 8 + 8 + 8

/** A piece in columns, and how many bytes of the segment it stands for. */
export interface Piece {
  readonly plain: Uint8Array
  readonly length: number
}

/**
 * The first `target` of `bytes`, which are the segment's from file offset `base` on, and the rest of the record that begins in them. Without
 * an origin no record is looked for.
 *
 * @param base - a multiple of 8
 */
export const toColumns = (bytes: Uint8Array, base: number, target: number, origin: Origin | undefined): Piece => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const parts: Array<number> = []
  /** What keeps its bytes: where it begins and ends. */
  const rest: Array<[from: number, to: number]> = []
  /** Where the fields of each point lie: series, step, value, time. */
  const fields: Array<readonly [at: number, count: number]> = []
  let points = 0
  let restLength = 0
  let at = 0
  const add = (tag: number, n: number, isMore: boolean) => {
    const last = parts.length - 1
    const before = parts[last]
    if (isMore && before !== undefined && (before & 3) === tag) parts[last] = before + n * 4
    else parts.push(n * 4 + tag)
  }
  const keep = (from: number, to: number) => {
    const last = rest.at(-1)
    if (last?.[1] === from) last[1] = to
    else rest.push([from, to])
    restLength += to - from
  }
  while (at < bytes.length && at < target) {
    const length = at + prefixLength + 4 <= bytes.length ? view.getUint32(at, true) : 0
    const end = at + align8(prefixLength + length)
    const fits = length >= 4 && length <= recordLengthMax
    const seed = origin === undefined ? 0 : recordSeed(origin.salt, origin.origin + base + at)
    const isGood =
      origin !== undefined &&
      fits &&
      end <= bytes.length &&
      crc32(bytes, at + prefixLength, at + prefixLength + length, seed) === view.getUint32(at + 4, true)
    if (!isGood) {
      const to = Math.min(bytes.length, at + 8)
      add(part.raw, to - at, true)
      keep(at, to)
      at = to
      continue
    }
    const recordKind = view.getUint32(at + 8, true)
    const count = recordKind === kind.points && length >= 8 ? view.getUint32(at + 12, true) : 0
    if (recordKind === kind.point && length === pointLength) {
      add(part.point, 1, true)
      fields.push([at + 12, 0])
      points++
    } else if (count >= 1 && count <= columnsMax && length === pointsLength(count)) {
      add(part.points, count, false)
      fields.push([at + 16, count])
      points += count
    } else {
      add(part.record, length, false)
      keep(at + prefixLength, at + prefixLength + length)
    }
    at = end
  }
  const plain = new Uint8Array(fixedLength + 4 * parts.length + pointWidth * points + restLength)
  const out = new DataView(plain.buffer)
  out.setUint32(0, parts.length, true)
  out.setUint32(4, points, true)
  out.setUint32(8, restLength, true)
  parts.forEach((word, i) => out.setUint32(fixedLength + 4 * i, word, true))
  const planes = new Planes(plain, fixedLength + 4 * parts.length, points)
  for (const [from, count] of fields) {
    if (count === 0) planes.push(view, from, from + 4, from + 12, from + 20)
    for (let i = 0; i < count; i++) {
      planes.push(view, from + 24 * count + 4 * i, from + 8 * i, from + 8 * (count + i), from + 8 * (2 * count + i))
    }
  }
  let to = plain.length - restLength
  for (const [from, end] of rest) {
    plain.set(bytes.subarray(from, end), to)
    to += end - from
  }
  return { plain, length: at }
}

/** Fills `into`, the segment's bytes from file offset `base` on, from a piece; false when the piece does not stand for exactly these. */
export const fromColumns = (plain: Uint8Array, into: Uint8Array, base: number, origin: Origin): boolean => {
  if (plain.length < fixedLength) return false
  const view = new DataView(plain.buffer, plain.byteOffset, plain.length)
  const partCount = view.getUint32(0, true)
  const points = view.getUint32(4, true)
  const restLength = view.getUint32(8, true)
  if (fixedLength + 4 * partCount + pointWidth * points + restLength !== plain.length) return false
  const out = new DataView(into.buffer, into.byteOffset, into.length)
  const planes = new Planes(plain, fixedLength + 4 * partCount, points)
  let rest = plain.length - restLength
  let at = 0
  let taken = 0
  const seal = (length: number) => {
    const seed = recordSeed(origin.salt, origin.origin + base + at)
    out.setUint32(at, length, true)
    out.setUint32(at + 4, crc32(into, at + prefixLength, at + prefixLength + length, seed), true)
    at += align8(prefixLength + length)
  }
  for (let i = 0; i < partCount; i++) {
    const word = view.getUint32(fixedLength + 4 * i, true)
    const n = Math.floor(word / 4)
    const tag = word & 3
    if (tag === part.raw || tag === part.record) {
      const room = tag === part.raw ? n : align8(prefixLength + n)
      if (n > plain.length - rest || room > into.length - at) return false
      if (tag === part.record && (n < 4 || n > recordLengthMax)) return false
      into.set(plain.subarray(rest, rest + n), tag === part.raw ? at : at + prefixLength)
      rest += n
      if (tag === part.raw) at += n
      else {
        into.fill(0, at + prefixLength + n, at + room)
        seal(n)
      }
    } else if (tag === part.point) {
      if (n > points - taken || n * wholePoint > into.length - at) return false
      for (let p = 0; p < n; p++) {
        out.setUint32(at + 8, kind.point, true)
        planes.pull(out, at + 12, at + 16, at + 24, at + 32)
        seal(pointLength)
      }
      taken += n
    } else {
      const length = pointsLength(n)
      if (n < 1 || n > columnsMax || n > points - taken || align8(prefixLength + length) > into.length - at)
        return false
      out.setUint32(at + 8, kind.points, true)
      out.setUint32(at + 12, n, true)
      const from = at + 16
      for (let p = 0; p < n; p++) {
        planes.pull(out, from + 24 * n + 4 * p, from + 8 * p, from + 8 * (n + p), from + 8 * (2 * n + p))
      }
      into.fill(0, at + prefixLength + length, at + align8(prefixLength + length))
      taken += n
      seal(length)
    }
  }
  return at === into.length && taken === points && rest === plain.length
}

/**
 * The columns, a byte plane after the other, filled and read from the first point on. Steps and values are differences to the point before of
 * the same series, times and series to the point before; all modulo 2^32 or 2^64 over their bits, so that nothing is rounded.
 */
class Planes {
  private readonly bytes: Uint8Array
  private readonly from: number
  private readonly points: number
  private next = 0
  private series = 0
  /** Slot in `before` by number of series. */
  private readonly slots = new Map<number, number>()
  /** Low and high half of the last step and the last value of each series; the first pair of all is of the last time. */
  private before = new Uint32Array(64)

  constructor(bytes: Uint8Array, from: number, points: number) {
    this.bytes = bytes
    this.from = from
    this.points = points
  }

  /** One point from `view`, whose fields lie there. */
  push(view: DataView, series: number, step: number, value: number, time: number): void {
    const number = view.getUint32(series, true)
    this.put(0, (number - this.series) >>> 0)
    this.series = number
    const slot = this.slotOf(number)
    this.pushDifference(4, view, step, slot)
    this.pushDifference(12, view, value, slot + 2)
    this.pushDifference(20, view, time, 0)
    this.next++
  }

  /** One point into `view`. */
  pull(view: DataView, series: number, step: number, value: number, time: number): void {
    const number = (this.series + this.get(0)) >>> 0
    this.series = number
    view.setUint32(series, number, true)
    const slot = this.slotOf(number)
    this.pullDifference(4, view, step, slot)
    this.pullDifference(12, view, value, slot + 2)
    this.pullDifference(20, view, time, 0)
    this.next++
  }

  private slotOf(series: number): number {
    const known = this.slots.get(series)
    if (known !== undefined) return known
    const slot = 4 + 4 * this.slots.size
    this.slots.set(series, slot)
    if (slot + 4 > this.before.length) {
      const grown = new Uint32Array(2 * this.before.length)
      grown.set(this.before)
      this.before = grown
    }
    return slot
  }

  private pushDifference(plane: number, view: DataView, at: number, slot: number): void {
    const low = view.getUint32(at, true)
    const high = view.getUint32(at + 4, true)
    const { before } = this
    const lowBefore = before[slot] ?? 0
    const borrow = low < lowBefore ? 1 : 0
    this.put(plane, (low - lowBefore) >>> 0)
    this.put(plane + 4, (high - (before[slot + 1] ?? 0) - borrow) >>> 0)
    before[slot] = low
    before[slot + 1] = high
  }

  private pullDifference(plane: number, view: DataView, at: number, slot: number): void {
    const { before } = this
    const sum = this.get(plane) + (before[slot] ?? 0)
    const low = sum >>> 0
    const high = (this.get(plane + 4) + (before[slot + 1] ?? 0) + (sum > 0xffffffff ? 1 : 0)) >>> 0
    view.setUint32(at, low, true)
    view.setUint32(at + 4, high, true)
    before[slot] = low
    before[slot + 1] = high
  }

  /** Four bytes into the planes from number `plane` on. */
  private put(plane: number, word: number): void {
    const { bytes, points } = this
    const at = this.from + plane * points + this.next
    bytes[at] = word
    bytes[at + points] = word >>> 8
    bytes[at + 2 * points] = word >>> 16
    bytes[at + 3 * points] = word >>> 24
  }

  private get(plane: number): number {
    const { bytes, points } = this
    const at = this.from + plane * points + this.next
    return (
      ((bytes[at] ?? 0) |
        ((bytes[at + points] ?? 0) << 8) |
        ((bytes[at + 2 * points] ?? 0) << 16) |
        ((bytes[at + 3 * points] ?? 0) << 24)) >>>
      0
    )
  }
}
