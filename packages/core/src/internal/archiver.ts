/**
 * Rewrites the segments of a folder as one archive (journal.md §11), and takes them away when that is safe on the disk. Whether it may be
 * done is for the caller to know: no writer of the folder lives, and nobody else archives it.
 *
 * A power cut at any point leaves all segments, or the archive, or both. Memory holds one frame at a time.
 */
import * as Effect from "effect/Effect"
import type { JournalStorage, ReadFile, StorageError } from "../JournalStorage.ts"
import {
  ArchiveWriter,
  frameLength,
  generationOf,
  nameOf,
  readStored,
  type Frame,
  type Segment
} from "./archiveFile.ts"
import { Bytes } from "./bytes.ts"
import { prefixLength, recordLengthMax } from "./records.ts"
import { decodeHeader, fileName, headerLengthMax, parseFileName } from "./segment.ts"
import { fromColumns, toColumns, type Origin } from "./segmentColumns.ts"
import type { SegmentFolder } from "./segmentFolder.ts"

type Storage = JournalStorage["Service"]

/** Room for a frame, and for the longest record behind it. */
const bufferLength = frameLength + recordLengthMax + 2 * prefixLength

const temporarySuffix = ".tmp"

/** Bytes of files before and after; `segments` is 0 when there was nothing to do. */
export interface Archived {
  readonly segments: number
  readonly bytesBefore: number
  readonly bytesAfter: number
}

/** Takes all segments that are in files of their own into the folder's archive. */
export const archiveFolder = (storage: Storage, folder: SegmentFolder): Effect.Effect<Archived, StorageError> =>
  Effect.gen(function* () {
    const names = yield* folder.look
    const { generation, contents } = folder.archived
    const fresh = names
      .map(parseFileName)
      .filter((file) => file !== undefined)
      .filter(({ writer, number }) => contents.get(writer)?.has(number) !== true)
    if (fresh.length === 0) {
      // What an archiver before this one did not come to.
      yield* removeArchived(storage, folder, names)
      return { segments: 0, bytesBefore: 0, bytesAfter: 0 }
    }
    const next = Math.max(-1, generation ?? -1, ...names.map((name) => generationOf(name) ?? -1)) + 1
    const path = folder.file(nameOf(next))
    const temporary = `${path}${temporarySuffix}`
    yield* storage.remove(temporary)
    const sizes = yield* Effect.scoped(write(storage, folder, temporary, fresh)).pipe(
      Effect.onError(() => Effect.ignore(storage.remove(temporary)))
    )
    yield* storage.rename(temporary, path)
    yield* storage.syncFolder(folder.path)
    yield* removeArchived(storage, folder, yield* folder.look)
    return { segments: fresh.length, ...sizes }
  })

/** Everything in the folder that is in its archive too, and what an archiver left that was cut off. Safe to be cut off anywhere. */
const removeArchived = (storage: Storage, folder: SegmentFolder, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { generation, contents } = folder.archived
    for (const name of names) {
      const file = parseFileName(name)
      const isIn = file !== undefined && contents.get(file.writer)?.has(file.number) === true
      const old = generationOf(name.endsWith(temporarySuffix) ? name.slice(0, -temporarySuffix.length) : name)
      const isOld =
        old !== undefined && (name.endsWith(temporarySuffix) || (generation !== undefined && old < generation))
      if (isIn || isOld) yield* storage.remove(folder.file(name))
    }
    // A lock goes after the segments: without segments its writer is known by the archive alone (J11.4).
    for (const writer of contents.keys()) {
      const lock = `${writer}.lock`
      if (names.includes(lock)) yield* storage.remove(folder.file(lock))
    }
  })

const write = (
  storage: Storage,
  folder: SegmentFolder,
  path: string,
  fresh: ReadonlyArray<{ readonly writer: string; readonly number: number }>
) =>
  Effect.gen(function* () {
    const writer = new ArchiveWriter(storage, yield* storage.openAppend(path))
    const { generation, contents } = folder.archived
    const all = new Map<string, Map<number, Segment>>()
    const put = (id: string, segment: Segment) => {
      const segments = all.get(id) ?? new Map<number, Segment>()
      all.set(id, segments.set(segment.number, segment))
    }
    if (generation !== undefined) {
      const before = yield* storage.openRead(folder.file(nameOf(generation)))
      for (const [id, segments] of contents) {
        for (const segment of segments.values()) put(id, yield* copySegment(before, segment, writer))
      }
    }
    const buffers = { segment: new Bytes(bufferLength), back: new Uint8Array(bufferLength) }
    let bytesBefore = 0
    for (const { writer: id, number } of fresh.toSorted(byPlace)) {
      const segment = yield* Effect.scoped(
        Effect.gen(function* () {
          const file = yield* storage.openRead(folder.file(fileName(id, number)))
          return yield* packSegment(file, number, writer, buffers)
        })
      )
      bytesBefore += segment.size
      put(id, segment)
    }
    yield* writer.finish(folder.run, all)
    return { bytesBefore, bytesAfter: writer.length }
  })

const byPlace = (
  a: { readonly writer: string; readonly number: number },
  b: { readonly writer: string; readonly number: number }
): number => (a.writer === b.writer ? a.number - b.number : a.writer < b.writer ? -1 : 1)

/** Frames as they are; one that is damaged stays damaged, and its loss is counted as before. */
const copySegment = (from: ReadFile, segment: Segment, writer: ArchiveWriter): Effect.Effect<Segment, StorageError> =>
  Effect.map(
    Effect.forEach(segment.frames, (frame) =>
      Effect.flatMap(readStored(from, frame), (stored) =>
        stored === undefined
          ? Effect.succeed<Frame>([0, 0, frame[2], 1, frame[4]])
          : writer.copy(stored, frame[2], frame[4])
      )
    ),
    (frames) => ({ ...segment, frames })
  )

const packSegment = (
  file: ReadFile,
  number: number,
  writer: ArchiveWriter,
  { segment: { u8 }, back }: { readonly segment: Bytes; readonly back: Uint8Array }
): Effect.Effect<Segment, StorageError> =>
  Effect.gen(function* () {
    const size = yield* file.size
    const header = decodeHeader(u8.subarray(0, yield* file.readInto(0, u8.subarray(0, headerLengthMax))))
    const origin: Origin | undefined =
      header === undefined ? undefined : { salt: header.salt, origin: header.streamOffset - header.length }
    const content = yield* contentLength(file, size, u8)
    const frames: Array<Frame> = []
    for (let base = 0; base < content;) {
      // A record may end in zeros, and so beyond what is counted as content.
      const length = yield* file.readInto(base, u8.subarray(0, Math.min(u8.length, size - base)))
      if (length === 0) break
      const bytes = u8.subarray(0, length)
      const piece = toColumns(bytes, base, Math.min(frameLength, content - base), origin)
      const original = bytes.subarray(0, piece.length)
      const copy = back.subarray(0, piece.length)
      const isSame = fromColumns(piece.plain, copy, base, origin ?? noOrigin) && isEqual(copy, original)
      // Bytes between records that are not zeros have no place in columns: such a piece is kept as it is.
      const kept = isSame ? piece : toColumns(original, base, piece.length, undefined)
      frames.push(yield* writer.frame(kept.plain, kept.length))
      base += kept.length
      // Lanes of other runs go on meanwhile.
      yield* Effect.yieldNow
    }
    return { number, size, ...(origin ?? noOrigin), frames }
  })

const noOrigin: Origin = { salt: 0, origin: 0 }

/** Up to the last byte that is not zero: what is reserved and unused is not kept (J2.4). */
const contentLength = (file: ReadFile, size: number, buffer: Uint8Array): Effect.Effect<number, StorageError> =>
  Effect.gen(function* () {
    for (let end = size; end > 0;) {
      const from = Math.max(0, end - buffer.length)
      const part = buffer.subarray(0, yield* file.readInto(from, buffer.subarray(0, end - from)))
      for (let i = part.length - 1; i >= 0; i--) if (part[i] !== 0) return from + i + 1
      end = from
    }
    return 0
  })

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return a.length === b.length
}
