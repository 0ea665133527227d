/**
 * Reads one writer's stream from a mark on, segment after segment, while it grows (journal.md §4). Says what stopped it, so that whoever
 * drives it knows whether to come back.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Mark } from "../Cursor.ts"
import type { ReadFile, StorageError } from "../JournalStorage.ts"
import { Bytes, getInt64 } from "./bytes.ts"
import { crc32, recordSeed } from "./crc32.ts"
import { SegmentDecoder, type Collected } from "./decoder.ts"
import { kind, prefixLength, recordLengthMax } from "./records.ts"
import { decodeHeader, headerLengthMax, type Header } from "./segment.ts"
import type { SegmentFolder } from "./segmentFolder.ts"
import { SeriesRecords } from "./seriesRecords.ts"

/** Bytes read at a time: room for the longest record several times over. */
const chunkLength = 4 * (recordLengthMax + prefixLength)

/** The buffer that all tails of a journal read through, one at a time: what they keep they have copied. */
export class Chunk extends Bytes {
  constructor() {
    super(chunkLength)
  }
}

/** What a tail is told about its writer each time. */
export interface WriterView {
  readonly id: string
  /** Nothing can be added any more. */
  readonly isOver: boolean
  /** Numbers of the segments that exist, ascending. */
  readonly segments: ReadonlyArray<number>
  /** Of a derived journal: the position behind the last commit, of each of the segments (J13.3). */
  readonly committed?: ReadonlyMap<number, number>
}

/** `full`: there is more; `waiting`: nothing more now; `drained`: nothing more ever. */
export type Progress = "full" | "waiting" | "drained"

interface OpenSegment {
  readonly number: number
  readonly file: ReadFile
  readonly scope: Scope.Closeable
  readonly decoder: SegmentDecoder | undefined
  /** A segment without a good header is a gap once, however often it is looked at. */
  isCounted: boolean
}

export class WriterTail {
  private current: OpenSegment | undefined
  private readonly folder: SegmentFolder
  private readonly series = new SeriesRecords()
  private from: Mark

  constructor(folder: SegmentFolder, from: Mark) {
    this.folder = folder
    this.from = from
  }

  /** The mark behind all that was collected. */
  get mark(): Mark {
    const mark = this.current?.decoder?.mark
    if (mark === undefined || mark.position < this.from.position) return this.from
    return mark.position === this.from.position && mark.index < this.from.index ? this.from : mark
  }

  /** Reads until `into` is full or nothing more is there. */
  fill(writer: WriterView, chunk: Chunk, into: Collected): Effect.Effect<Progress, StorageError> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        const segment = this.current ?? (yield* this.openFirst(writer, chunk))
        if (segment === undefined) return writer.isOver ? "drained" : "waiting"
        this.current = segment
        const next = writer.segments.find((number) => number > segment.number)
        const isFinal = writer.isOver || (next !== undefined && (yield* this.hasRecord(writer.id, next, chunk)))
        // Of a derived journal's segment that is not in the list nothing is committed.
        const until =
          writer.committed === undefined ? Number.POSITIVE_INFINITY : (writer.committed.get(segment.number) ?? 0)
        const stop = yield* this.decode(segment, isFinal, until, chunk, into)
        if (stop === "full") return "full"
        if (!isFinal) return "waiting"
        if (next === undefined) return "drained"
        this.current = yield* this.openNext(writer.id, segment, next, chunk, into)
      }
    })
  }

  /** Closes the file under way. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const segment = this.current
      this.current = undefined
      return segment === undefined ? Effect.void : Scope.close(segment.scope, Exit.void)
    })
  }

  /** Everything that is good in `segment` from where its decoder stands; a segment without a good header is a gap (J2.1). */
  private decode(segment: OpenSegment, final: boolean, until: number, chunk: Chunk, into: Collected) {
    return Effect.gen({ self: this }, function* () {
      const { decoder, file } = segment
      if (decoder === undefined) {
        if (final && !segment.isCounted) into.gapBytes += yield* file.size
        segment.isCounted ||= final
        return "end" as const
      }
      for (;;) {
        const base = decoder.offset
        const length = yield* file.readInto(base, chunk.u8)
        const options = { final, atEnd: length < chunkLength, from: this.from, until }
        const stop = decoder.decode(chunk.u8, chunk.view, base, length, options, into)
        if (stop !== "more") return stop
      }
    })
  }

  /** The segment in which `from` lies: the last one that begins at or before it. */
  private openFirst(writer: WriterView, chunk: Chunk): Effect.Effect<OpenSegment | undefined, StorageError> {
    return Effect.gen({ self: this }, function* () {
      for (const number of writer.segments.toReversed()) {
        const segment = yield* this.open(writer.id, number, chunk)
        const isFirst = number === writer.segments[0]
        // Without its header the newest segment of a living writer is just being made.
        if (segment.decoder === undefined && !writer.isOver && number === writer.segments.at(-1)) {
          yield* Scope.close(segment.scope, Exit.void)
          if (isFirst) return undefined
          continue
        }
        if (isFirst || (segment.decoder !== undefined && segment.decoder.header.streamOffset <= this.from.position)) {
          return segment
        }
        yield* Scope.close(segment.scope, Exit.void)
      }
      return undefined
    })
  }

  private openNext(writer: string, before: OpenSegment, number: number, chunk: Chunk, into: Collected) {
    return Effect.gen({ self: this }, function* () {
      this.from = this.mark
      const segment = yield* this.open(writer, number, chunk)
      if (before.decoder !== undefined && segment.decoder !== undefined) {
        const ended = yield* this.continuedFrom(segment, chunk)
        // Bytes that the segment before should have had and of which nothing was left but zeros (J4.4).
        const { goodPosition, trailingGap } = before.decoder
        into.gapBytes += Math.max(0, (ended ?? 0) - goodPosition - trailingGap)
      }
      yield* Scope.close(before.scope, Exit.void)
      return segment
    })
  }

  private open(writer: string, number: number, chunk: Chunk): Effect.Effect<OpenSegment, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.make()
      const file = yield* Effect.provideService(this.folder.open(writer, number), Scope.Scope, scope)
      const header = yield* this.header(file, writer, chunk)
      const decoder = header === undefined ? undefined : new SegmentDecoder(header, this.series)
      return { number, file, scope, decoder, isCounted: false }
    })
  }

  private header(file: ReadFile, writer: string, chunk: Chunk): Effect.Effect<Header | undefined, StorageError> {
    return Effect.map(file.readInto(0, chunk.u8.subarray(0, headerLengthMax)), (length) => {
      const header = decodeHeader(chunk.u8.subarray(0, length))
      return header?.identity.run === this.folder.run && header.identity.writer === writer ? header : undefined
    })
  }

  /** Position in the *continued* record at the head of a segment. */
  private continuedFrom(segment: OpenSegment, chunk: Chunk): Effect.Effect<number | undefined, StorageError> {
    const header = segment.decoder?.header
    if (header === undefined) return Effect.succeed(undefined)
    const whole = prefixLength + 12
    return Effect.map(segment.file.readInto(header.length, chunk.u8.subarray(0, whole)), (length) =>
      length === whole && chunk.view.getUint32(8, true) === kind.continued && firstRecordIsGood(chunk, length, header)
        ? getInt64(chunk.view, 12)
        : undefined
    )
  }

  /** Whether a segment's first record is good: then the one before it is final (J4.2). */
  private hasRecord(writer: string, number: number, chunk: Chunk): Effect.Effect<boolean, StorageError> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const file = yield* this.folder.open(writer, number)
        const header = yield* this.header(file, writer, chunk)
        if (header === undefined) return false
        return firstRecordIsGood(chunk, yield* file.readInto(header.length, chunk.u8), header)
      })
    )
  }
}

/** The record at the start of the chunk, which was read from file offset `header.length`. */
const firstRecordIsGood = (chunk: Chunk, length: number, header: Header): boolean => {
  if (length < prefixLength + 4) return false
  const recordLength = chunk.view.getUint32(0, true)
  const whole = prefixLength + recordLength
  if (recordLength < 4 || recordLength > recordLengthMax || whole > length) return false
  const seed = recordSeed(header.salt, header.streamOffset)
  return crc32(chunk.u8, prefixLength, whole, seed) === chunk.view.getUint32(4, true)
}
