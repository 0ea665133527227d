/**
 * The file of an archive (journal.md §11): frames of compressed columns, and behind them, twice, an index that says which part of which
 * segment each of them is. Whoever reads a segment in it sees the file it was, byte for byte: what is known of reading journals is
 * known of archives too.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { AppendFile, JournalStorage, ReadFile } from "../JournalStorage.ts"
import { Id } from "../Name.ts"
import { align8, decodeJson, encodeText, getInt64, setInt64 } from "./bytes.ts"
import { crc32 } from "./crc32.ts"
import { fromColumns, type Origin } from "./segmentColumns.ts"
import { StorageError } from "./storageError.ts"

type Storage = JournalStorage["Service"]

const magic = Uint8Array.of(0x89, 0x54, 0x4c, 0x41, 0x0d, 0x0a, 0x1a, 0x0a)
const trailerLength = 40

/** Bytes of a segment that one frame stands for, but for a record that goes beyond. Larger ones are smaller by a few per cent, and take longer in one go. */
export const frameLength = 1024 * 1024

/** No frame is longer: a reader makes no more room than this for one. */
const frameLengthMax = 4 * frameLength

/** Longest index, uncompressed. A frame takes about 50 bytes in it. */
const indexLengthMax = 256 * 1024 * 1024

/** How much of the end is looked through for an index when the last one is damaged. */
const searchLength = 4 * 1024 * 1024

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Uint32 = Count.check(Schema.isLessThan(2 ** 32))
const Length = Count.check(Schema.isLessThanOrEqualTo(frameLengthMax))

/** Offset and length in the archive, length before compression, CRC-32 of what lies there, and how many bytes of the segment it stands for. */
const Frame = Schema.Tuple([Count, Length, Length, Uint32, Length])
export type Frame = typeof Frame.Type

const Segment = Schema.Struct({
  number: Count,
  /** Bytes of the file. Behind those of the frames all of them were zeros. */
  size: Uint32,
  salt: Uint32,
  origin: Schema.Int,
  frames: Schema.Array(Frame)
})
export interface Segment extends Schema.Schema.Type<typeof Segment> {}

const Index = Schema.Struct({
  version: Schema.Literal(1),
  run: Id,
  writers: Schema.Array(Schema.Struct({ id: Id, segments: Schema.Array(Segment) }))
})

/** Segments by number, by writer. */
export type Contents = ReadonlyMap<string, ReadonlyMap<number, Segment>>

const decodeIndex = Schema.decodeUnknownOption(Index)

const fileName = /^archive\.(0|[1-9][0-9]{0,8})\.tla$/

/** `archive.<n>.tla` */
export const nameOf = (generation: number): string => `archive.${generation}.tla`

/** The number in an archive's name, or `undefined` when it is something else. */
export const generationOf = (name: string): number | undefined => {
  const match = fileName.exec(name)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

// ---- writing ----

/** Appends frames, then the index. Where each lies is known at once. */
export class ArchiveWriter {
  private readonly storage: Storage
  private readonly file: AppendFile
  /** Bytes so far. */
  length = 0

  constructor(storage: Storage, file: AppendFile) {
    this.storage = storage
    this.file = file
  }

  private append(bytes: Uint8Array): Effect.Effect<number, StorageError> {
    const at = this.length
    const padding = new Uint8Array(align8(bytes.length) - bytes.length)
    this.length += bytes.length + padding.length
    return Effect.as(this.file.append([bytes, padding]), at)
  }

  /** @param stands - for how many bytes of the segment */
  frame(plain: Uint8Array, stands: number): Effect.Effect<Frame, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const stored = yield* this.storage.compress(plain)
      return yield* this.copy(stored, plain.length, stands)
    })
  }

  /** A frame that is compressed already. */
  copy(stored: Uint8Array, plainLength: number, stands: number): Effect.Effect<Frame, StorageError> {
    return Effect.map(this.append(stored), (at): Frame => [
      at,
      stored.length,
      plainLength,
      crc32(stored, 0, stored.length, 0),
      stands
    ])
  }

  /** The index, twice; then all of it is synced. */
  finish(run: string, contents: Contents): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const writers = Array.from(contents, ([id, segments]) => ({ id, segments: [...segments.values()] }))
      const plain = encodeText(JSON.stringify({ version: 1, run, writers }))
      const stored = yield* this.storage.compress(plain)
      for (let copy = 0; copy < 2; copy++) {
        const at = yield* this.append(stored)
        yield* this.append(trailer(at, stored, plain.length))
      }
      yield* this.file.sync
    })
  }
}

const trailer = (at: number, stored: Uint8Array, plainLength: number): Uint8Array => {
  const bytes = new Uint8Array(trailerLength)
  const view = new DataView(bytes.buffer)
  setInt64(view, 0, at)
  view.setUint32(8, stored.length, true)
  view.setUint32(12, plainLength, true)
  view.setUint32(16, crc32(stored, 0, stored.length, 0), true)
  view.setUint32(28, crc32(bytes, 0, 28, 0), true)
  bytes.set(magic, 32)
  return bytes
}

// ---- reading ----

/** What an archive holds. Fails with code `EDAMAGED` when no index of it is good: nothing of it can be told from here. */
export const readContents = (storage: Storage, path: string, run: string): Effect.Effect<Contents, StorageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* storage.openRead(path)
      const size = yield* file.size
      const end = new Uint8Array(Math.min(size, searchLength))
      const first = size - end.length
      yield* file.readInto(first, end)
      for (let at = end.length - trailerLength; at >= 0; at--) {
        if (!isTrailer(end, at)) continue
        const found = yield* readIndex(storage, file, end.subarray(at, at + trailerLength), first + at, run)
        if (found !== undefined) return found
      }
      return yield* new StorageError({
        operation: "read the archive",
        path,
        code: "EDAMAGED",
        message: `could not read the archive ${path}: neither of its indexes is good (EDAMAGED). Restore the file from a copy of the folder.`
      })
    })
  )

const isTrailer = (bytes: Uint8Array, at: number): boolean => {
  for (let i = 0; i < magic.length; i++) if (bytes[at + 32 + i] !== magic[i]) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, trailerLength)
  return crc32(bytes, at, at + 28, 0) === view.getUint32(28, true)
}

const readIndex = (storage: Storage, file: ReadFile, bytes: Uint8Array, before: number, run: string) =>
  Effect.gen(function* () {
    const view = new DataView(bytes.buffer, bytes.byteOffset, trailerLength)
    const at = getInt64(view, 0)
    const length = view.getUint32(8, true)
    const plainLength = view.getUint32(12, true)
    if (at < 0 || at + length > before || plainLength > indexLengthMax) return undefined
    const stored = new Uint8Array(length)
    if ((yield* file.readInto(at, stored)) !== length) return undefined
    if (crc32(stored, 0, length, 0) !== view.getUint32(16, true)) return undefined
    const plain = yield* storage.decompress(stored, plainLength)
    const index = Option.getOrUndefined(plain === undefined ? Option.none() : decodeIndex(decodeJson(plain)))
    if (index === undefined || index.run !== run) return undefined
    return new Map(
      index.writers.map(({ id, segments }) => [id, new Map(segments.map((segment) => [segment.number, segment]))])
    )
  })

/** What lies in one frame, or `undefined` when it is not what was written. */
export const readStored = (file: ReadFile, [at, length, , checksum]: Frame) =>
  Effect.map(
    Effect.suspend(() => {
      const stored = new Uint8Array(length)
      return Effect.map(file.readInto(at, stored), (count) => ({ stored, count }))
    }),
    ({ stored, count }) => (count === length && crc32(stored, 0, length, 0) === checksum ? stored : undefined)
  )

/**
 * A segment of an archive as the file it was. A frame that is damaged reads as bytes that are no record, so that they are a gap of that
 * length (J4.4).
 */
export const openSegment = (
  storage: Storage,
  path: string,
  { frames, origin, salt, size }: Segment
): Effect.Effect<ReadFile, StorageError, Scope.Scope> =>
  Effect.map(storage.openRead(path), (file) => {
    const starts: Array<number> = []
    let content = 0
    for (const [, , , , stands] of frames) {
      starts.push(content)
      content += stands
    }
    let held: { readonly frame: number; readonly bytes: Uint8Array } | undefined
    const from: Origin = { origin, salt }
    const load = (number: number, frame: Frame) =>
      Effect.gen(function* () {
        const bytes = new Uint8Array(frame[4])
        const stored = yield* readStored(file, frame)
        const plain = stored === undefined ? undefined : yield* storage.decompress(stored, frame[2])
        if (plain === undefined || !fromColumns(plain, bytes, starts[number] ?? 0, from)) bytes.fill(0xff)
        held = { frame: number, bytes }
        return bytes
      })
    return {
      size: Effect.succeed(size),
      readInto: (offset, buffer) =>
        Effect.gen(function* () {
          const end = Math.min(size, offset + buffer.length)
          let at = offset
          for (let number = frameAt(starts, offset); at < Math.min(end, content); number++) {
            const frame = frames[number]
            const start = starts[number]
            if (frame === undefined || start === undefined) break
            const bytes = held?.frame === number ? held.bytes : yield* load(number, frame)
            const part = bytes.subarray(at - start, end - start)
            buffer.set(part, at - offset)
            at += part.length
          }
          if (at < end) buffer.fill(0, at - offset, end - offset)
          return Math.max(0, end - offset)
        })
    }
  })

/** The last frame that begins at or before `offset`. */
const frameAt = (starts: ReadonlyArray<number>, offset: number): number => {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return low
}
