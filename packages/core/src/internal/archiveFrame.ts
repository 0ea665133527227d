/**
 * A frame of an archive (journal.md §11): a header that says what it is, and a compressed body. Headers name everything that is needed to
 * read their frame, and are found wherever they lie: what is damaged elsewhere in the file costs no other frame.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ReadFile, StorageError } from "../JournalStorage.ts"
import { Id } from "../Name.ts"
import { align8, decodeText, encodeText, getInt64, setInt64 } from "./bytes.ts"
import { crc32 } from "./crc32.ts"

const magic = Uint8Array.of(0x89, 0x54, 0x4c, 0x41, 0x0d, 0x0a, 0x1a, 0x0a)
const firstOfMagic = 0x89
const version = 1
const fixedLength = 80
const headerLengthMax = fixedLength + 64 + 64

/** Bytes of a segment that one frame stands for, but for a record that goes beyond. Larger ones are smaller by a few per cent, and take longer in one go. */
export const frameLength = 1024 * 1024

/** No frame is longer: a reader makes no more room than this for one. */
const frameLengthMax = 4 * frameLength

/** Longest index, uncompressed. A segment takes about 80 bytes in it. */
const indexLengthMax = 256 * 1024 * 1024

/** How much is looked through at once where a header is not where it should be. */
const windowLength = 256 * 1024

export const kind = { index: 1, piece: 2 } as const

/** What is known of a segment without its bytes. */
export interface SegmentFacts {
  readonly number: number
  /** Bytes of the file. */
  readonly size: number
  /** Bytes up to the last that is not zero. */
  readonly content: number
  readonly salt: number
  readonly origin: number
}

/** What a header says; of an index frame the writer is `""`, and the segment and its piece are zeros. */
export interface FrameFacts {
  readonly kind: (typeof kind)[keyof typeof kind]
  /** Of the archive, 16 hexadecimal digits: bytes of another archive that lie in this one are none of its frames. */
  readonly archive: string
  readonly run: string
  readonly writer: string
  readonly segment: SegmentFacts
  /** Where in the segment the piece begins, and how many of its bytes it stands for. */
  readonly offset: number
  readonly length: number
  /** Bytes of the body, as stored and before compression, and CRC-32 of it as stored. */
  readonly stored: number
  readonly plain: number
  readonly checksum: number
}

/** A frame where it was found. */
export interface Frame extends FrameFacts {
  /** Where in the file the header, the body and the next frame begin. */
  readonly from: number
  readonly at: number
  readonly end: number
  /** Where the body lies once more. */
  readonly again?: number
}

export const encodeFrameHeader = (facts: FrameFacts): Uint8Array => {
  const run = encodeText(facts.run)
  const writer = encodeText(facts.writer)
  const bytes = new Uint8Array(align8(fixedLength + run.length + writer.length))
  const view = new DataView(bytes.buffer)
  const { segment } = facts
  bytes.set(magic)
  view.setUint16(8, version, true)
  view.setUint16(10, facts.kind, true)
  view.setUint32(12, bytes.length, true)
  view.setUint32(16, Number.parseInt(facts.archive.slice(0, 8), 16))
  view.setUint32(20, Number.parseInt(facts.archive.slice(8), 16))
  view.setUint32(24, facts.stored, true)
  view.setUint32(28, facts.plain, true)
  view.setUint32(32, facts.checksum, true)
  view.setUint32(36, facts.offset, true)
  view.setUint32(40, facts.length, true)
  view.setUint32(44, segment.number, true)
  view.setUint32(48, segment.size, true)
  view.setUint32(52, segment.content, true)
  view.setUint32(56, segment.salt, true)
  view.setUint16(60, run.length, true)
  view.setUint16(62, writer.length, true)
  setInt64(view, 64, segment.origin)
  bytes.set(run, fixedLength)
  bytes.set(writer, fixedLength + run.length)
  view.setUint32(72, headerChecksum(bytes, 0, bytes.length), true)
  return bytes
}

const headerChecksum = (bytes: Uint8Array, at: number, length: number): number =>
  crc32(bytes, at + 76, at + length, crc32(bytes, at, at + 72, 0))

const isId = Schema.is(Id)

/** The header at `at` of `bytes`, which lie at `base` in the file, or `undefined` when there is none that is good. */
const decodeFrameHeader = (bytes: Uint8Array, at: number, base: number): Frame | undefined => {
  if (at + fixedLength > bytes.length) return undefined
  for (let i = 0; i < magic.length; i++) if (bytes[at + i] !== magic[i]) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at)
  const headerLength = view.getUint32(12, true)
  if (headerLength < fixedLength || headerLength > headerLengthMax || at + headerLength > bytes.length) return undefined
  if (headerChecksum(bytes, at, headerLength) !== view.getUint32(72, true)) return undefined
  const frameKind = view.getUint16(10, true)
  if (view.getUint16(8, true) !== version || (frameKind !== kind.index && frameKind !== kind.piece)) return undefined
  const names = at + fixedLength
  const runLength = view.getUint16(60, true)
  const run = decodeText(bytes.subarray(names, names + runLength))
  const writer = decodeText(bytes.subarray(names + runLength, names + runLength + view.getUint16(62, true)))
  if (run === undefined || writer === undefined || !isId(run)) return undefined
  if (frameKind === kind.piece ? !isId(writer) : writer !== "") return undefined
  const stored = view.getUint32(24, true)
  const frame: Frame = {
    kind: frameKind,
    archive: hex(view.getUint32(16)) + hex(view.getUint32(20)),
    run,
    writer,
    segment: {
      number: view.getUint32(44, true),
      size: view.getUint32(48, true),
      content: view.getUint32(52, true),
      salt: view.getUint32(56, true),
      origin: getInt64(view, 64)
    },
    offset: view.getUint32(36, true),
    length: view.getUint32(40, true),
    stored,
    plain: view.getUint32(28, true),
    checksum: view.getUint32(32, true),
    from: base + at,
    at: base + at + headerLength,
    end: base + at + headerLength + align8(stored)
  }
  const longest = frameKind === kind.piece ? frameLengthMax : indexLengthMax
  const fits = Math.max(stored, frame.plain) <= longest && frame.length <= frameLengthMax
  return fits && frame.offset + frame.length <= frame.segment.size ? frame : undefined
}

const hex = (word: number): string => word.toString(16).padStart(8, "0")

/**
 * All frames of `run` in a file, in order. One follows the other; where none does, all from the last good header on is looked through, the
 * body of its frame too, since nobody knows which bytes are too many or too few.
 */
export const findFrames = (
  file: ReadFile,
  size: number,
  run: string
): Effect.Effect<ReadonlyArray<Frame>, StorageError> =>
  Effect.gen(function* () {
    const frames: Array<Frame> = []
    const room = new Uint8Array(headerLengthMax)
    let next = 0
    let known = 0
    while (next !== size) {
      const length = next < size ? yield* file.readInto(next, room) : 0
      const expected = decodeFrameHeader(room.subarray(0, length), 0, next)
      const frame = expected?.run === run ? expected : yield* search(file, known, run)
      if (frame === undefined) break
      frames.push(frame)
      known = frame.at
      next = frame.end
    }
    return frames
  })

/** The first good header at or behind `from`. */
const search = (file: ReadFile, from: number, run: string) =>
  Effect.gen(function* () {
    const window = new Uint8Array(windowLength)
    for (let base = from; ; base += windowLength - headerLengthMax) {
      const length = yield* file.readInto(base, window)
      const part = window.subarray(0, length)
      for (let at = part.indexOf(firstOfMagic); at >= 0; at = part.indexOf(firstOfMagic, at + 1)) {
        const frame = decodeFrameHeader(part, at, base)
        if (frame?.run === run) return frame
      }
      if (length < windowLength) return undefined
    }
  })

/** The body of a frame, or `undefined` when it is not what was written. */
export const readStored = (
  file: ReadFile,
  { again, at, checksum, stored: length }: Frame
): Effect.Effect<Uint8Array | undefined, StorageError> =>
  Effect.gen(function* () {
    const stored = new Uint8Array(length)
    for (const place of again === undefined ? [at] : [at, again]) {
      const count = yield* file.readInto(place, stored)
      if (count === length && crc32(stored, 0, length, 0) === checksum) return stored
    }
    return undefined
  })

/** Whether the same piece lies in both, so that one may stand for the other. */
export const isSamePiece = (a: Frame, b: Frame): boolean =>
  a.offset === b.offset &&
  a.length === b.length &&
  a.stored === b.stored &&
  a.plain === b.plain &&
  a.checksum === b.checksum
