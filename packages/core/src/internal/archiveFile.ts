/**
 * The file of an archive (journal.md §11): frames of compressed columns, and before and behind them an index that says which segments they
 * are of. Whoever reads a segment in it sees the file it was, byte for byte: what is known of reading journals is known of archives too.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { AppendFile, JournalStorage, ReadFile } from "../JournalStorage.ts"
import { Id } from "../Name.ts"
import {
  encodeFrameHeader,
  findFrames,
  isSamePiece,
  kind,
  readStored,
  type Frame,
  type SegmentFacts
} from "./archiveFrame.ts"
import { align8, decodeJson, encodeText } from "./bytes.ts"
import { crc32 } from "./crc32.ts"
import { fromColumns } from "./segmentColumns.ts"
import { StorageError } from "./storageError.ts"

type Storage = JournalStorage["Service"]

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Uint32 = Count.check(Schema.isLessThan(2 ** 32))

const Index = Schema.Struct({
  version: Schema.Literal(1),
  run: Id,
  lost: Count,
  writers: Schema.Array(
    Schema.Struct({
      id: Id,
      segments: Schema.Array(
        Schema.Struct({ number: Count, size: Uint32, content: Uint32, salt: Uint32, origin: Schema.Int })
      )
    })
  )
})

const decodeIndex = Schema.decodeUnknownOption(Index)

/** A segment, and the frames of it that were found, by offset and none over another. */
export interface Segment extends SegmentFacts {
  readonly frames: ReadonlyArray<Frame>
}

/** Segments by number, by writer. */
type ByWriter<A> = ReadonlyMap<string, ReadonlyMap<number, A>>

export interface Contents {
  readonly writers: ByWriter<Segment>
  /** Bytes that were something and of which nothing else is known: not even of which segment they were. */
  readonly lost: number
}

export const nothing: Contents = { writers: new Map(), lost: 0 }

const fileName = /^archive\.(0|[1-9][0-9]{0,8})\.tla$/

/** `archive.<n>.tla` */
export const nameOf = (generation: number): string => `archive.${generation}.tla`

/** The number in an archive's name, or `undefined` when it is something else. */
export const generationOf = (name: string): number | undefined => {
  const match = fileName.exec(name)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

// ---- writing ----

type PieceFacts = Pick<Frame, "kind" | "writer" | "segment" | "offset" | "length" | "plain">

const noSegment: SegmentFacts = { number: 0, size: 0, content: 0, salt: 0, origin: 0 }

/** Whether a piece is written twice: the first of several, since it has what the others are read with. */
const isKey = (segment: SegmentFacts, offset: number, length: number): boolean =>
  offset === 0 && length < segment.content

/** Appends the index, then the frames of each segment, then the index again. */
export class ArchiveWriter {
  private readonly storage: Storage
  private readonly file: AppendFile
  private readonly run: string
  private readonly archive: string
  /** Bytes so far. */
  length = 0
  /** Written again behind the other frames of its segment: far from where it lies first. */
  private key: { readonly facts: PieceFacts; readonly stored: Uint8Array } | undefined

  /** @param archive - 16 hexadecimal digits that no other archive has */
  constructor(storage: Storage, file: AppendFile, run: string, archive: string) {
    this.storage = storage
    this.file = file
    this.run = run
    this.archive = archive
  }

  /** A piece of a segment, from `offset` on, which stands for `length` bytes of it. */
  frame(writer: string, segment: SegmentFacts, offset: number, length: number, plain: Uint8Array) {
    return Effect.flatMap(this.storage.compress(plain), (stored) =>
      this.piece({ kind: kind.piece, writer, segment, offset, length, plain: plain.length }, stored)
    )
  }

  /** A frame of another archive, whose body is that. */
  copy(frame: Frame, stored: Uint8Array): Effect.Effect<void, StorageError> {
    return this.piece(frame, stored)
  }

  /** No more frames of this segment come. */
  get endSegment(): Effect.Effect<void, StorageError> {
    return Effect.suspend(() => {
      const { key } = this
      this.key = undefined
      return key === undefined ? Effect.void : this.append(key.facts, key.stored)
    })
  }

  private piece(facts: PieceFacts, stored: Uint8Array): Effect.Effect<void, StorageError> {
    if (isKey(facts.segment, facts.offset, facts.length)) this.key = { facts, stored }
    return this.append(facts, stored)
  }

  index(writers: ByWriter<SegmentFacts>, lost: number): Effect.Effect<void, StorageError> {
    const list = Array.from(writers, ([id, segments]) => ({
      id,
      segments: Array.from(segments.values(), ({ number, size, content, salt, origin }) => ({
        number,
        size,
        content,
        salt,
        origin
      }))
    }))
    const plain = encodeText(JSON.stringify({ version: 1, run: this.run, lost, writers: list }))
    const facts = { kind: kind.index, writer: "", segment: noSegment, offset: 0, length: 0, plain: plain.length }
    return Effect.flatMap(this.storage.compress(plain), (stored) => this.append(facts, stored))
  }

  get sync(): Effect.Effect<void, StorageError> {
    return this.file.sync
  }

  private append(facts: PieceFacts, stored: Uint8Array): Effect.Effect<void, StorageError> {
    const { run, archive } = this
    const checksum = crc32(stored, 0, stored.length, 0)
    const header = encodeFrameHeader({ ...facts, run, archive, stored: stored.length, checksum })
    const padding = new Uint8Array(align8(stored.length) - stored.length)
    this.length += header.length + stored.length + padding.length
    return this.file.append([header, stored, padding])
  }
}

// ---- reading ----

/**
 * What an archive holds, of all frames whose header is good. Fails with code `EDAMAGED` when there is none, and no index: nothing of it can
 * be told from here.
 */
export const readContents = (storage: Storage, path: string, run: string): Effect.Effect<Contents, StorageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* storage.openRead(path)
      const size = yield* file.size
      const found = yield* findFrames(file, size, run)
      const archive = archiveOf(found, size)
      const frames = found.filter((frame) => frame.archive === archive)
      const index = yield* readIndex(storage, file, frames)
      const pieces = frames.filter((frame) => frame.kind === kind.piece)
      if (index === undefined && pieces.length === 0) {
        return yield* new StorageError({
          operation: "read the archive",
          path,
          code: "EDAMAGED",
          message: `could not read the archive ${path}: neither of its indexes is good, nor any frame (EDAMAGED). Restore the file from a copy of the folder.`
        })
      }
      const writers = new Map<string, Map<number, SegmentFacts & { readonly frames: Array<Frame> }>>()
      const segmentOf = (writer: string, segment: SegmentFacts) => {
        const segments = writers.get(writer) ?? new Map<number, SegmentFacts & { readonly frames: Array<Frame> }>()
        writers.set(writer, segments)
        const known = segments.get(segment.number) ?? { ...segment, frames: [] }
        segments.set(segment.number, known)
        return known
      }
      for (const { id, segments } of index?.writers ?? []) for (const segment of segments) segmentOf(id, segment)
      for (const piece of pieces.toSorted((a, b) => a.offset - b.offset)) {
        const segment = segmentOf(piece.writer, piece.segment)
        const before = segment.frames.at(-1)
        if (before !== undefined && isSamePiece(before, piece)) {
          segment.frames[segment.frames.length - 1] = { ...before, again: piece.at }
          continue
        }
        const isFree = before === undefined || before.offset + before.length <= piece.offset
        if (isFree && piece.offset + piece.length <= segment.size) segment.frames.push(piece)
      }
      const good = pieces.reduce((sum, { from, end }) => sum + end - from, 0)
      // Without an index there may have been segments of which no frame is left.
      return { writers, lost: index?.lost ?? Math.max(1, size - good) }
    })
  )

/** Which archive a file is, should another one lie in a frame of it: its first frame's, else its last one's, else the largest. */
const archiveOf = (frames: ReadonlyArray<Frame>, size: number): string | undefined => {
  const outer = frames.find(({ from }) => from === 0) ?? frames.find(({ end }) => end === size)
  if (outer !== undefined) return outer.archive
  const bytes = new Map<string, number>()
  for (const { archive, end, from } of frames) bytes.set(archive, (bytes.get(archive) ?? 0) + end - from)
  return [...bytes].toSorted((a, b) => b[1] - a[1])[0]?.[0]
}

const readIndex = (storage: Storage, file: ReadFile, frames: ReadonlyArray<Frame>) =>
  Effect.gen(function* () {
    for (const frame of frames) {
      if (frame.kind !== kind.index) continue
      const stored = yield* readStored(file, frame)
      const plain = stored === undefined ? undefined : yield* storage.decompress(stored, frame.plain)
      const index = Option.getOrUndefined(plain === undefined ? Option.none() : decodeIndex(decodeJson(plain)))
      if (index?.run === frame.run) return index
    }
    return undefined
  })

/** Whether all of a segment is there and good: then, and only then, its own file is needed no more. */
export const isWhole = (storage: Storage, path: string, { content, frames }: Segment) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* storage.openRead(path)
      let end = 0
      for (const frame of frames) {
        if (frame.offset !== end || (yield* readStored(file, frame)) === undefined) return false
        end += frame.length
      }
      return end >= content
    })
  )

/**
 * A segment of an archive as the file it was. A frame that is missing or damaged reads as bytes that are no record, so that they are a gap of
 * that length (J4.4).
 */
export const openSegment = (
  storage: Storage,
  path: string,
  { content, frames, origin, salt, size }: Segment
): Effect.Effect<ReadFile, StorageError, Scope.Scope> =>
  Effect.map(storage.openRead(path), (file) => {
    let held: { readonly frame: Frame; readonly bytes: Uint8Array } | undefined
    const load = (frame: Frame) =>
      Effect.gen(function* () {
        const bytes = new Uint8Array(frame.length)
        const stored = yield* readStored(file, frame)
        const plain = stored === undefined ? undefined : yield* storage.decompress(stored, frame.plain)
        if (plain === undefined || !fromColumns(plain, bytes, frame.offset, { origin, salt })) bytes.fill(0xff)
        held = { frame, bytes }
        return bytes
      })
    return {
      size: Effect.succeed(size),
      readInto: (offset, buffer) =>
        Effect.gen(function* () {
          const count = Math.max(0, Math.min(buffer.length, size - offset))
          const end = offset + count
          buffer.fill(0xff, 0, Math.max(0, Math.min(end, content) - offset))
          buffer.fill(0, Math.max(0, Math.min(end, content) - offset), count)
          for (let number = frameBehind(frames, offset); ; number++) {
            const frame = frames[number]
            if (frame === undefined || frame.offset >= end) return count
            const bytes = held?.frame === frame ? held.bytes : yield* load(frame)
            const from = Math.max(offset, frame.offset)
            buffer.set(bytes.subarray(from - frame.offset, end - frame.offset), from - offset)
          }
        })
    }
  })

/** The first frame that ends behind `offset`. */
const frameBehind = (frames: ReadonlyArray<Frame>, offset: number): number => {
  let low = 0
  let high = frames.length
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const frame = frames[middle]
    if (frame !== undefined && frame.offset + frame.length <= offset) low = middle + 1
    else high = middle
  }
  return low
}
