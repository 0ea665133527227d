/**
 * Rewrites the segments of a folder as one archive (journal.md §11), and takes them away when that is safe on the disk. Whether it may be
 * done is for the caller to know: no writer of the folder lives, and nobody else archives it.
 *
 * A power cut at any point leaves all segments, or the archive, or both. Memory holds one frame at a time.
 */
import * as Effect from "effect/Effect"
import type { JournalStorage, ReadFile, StorageError } from "../JournalStorage.ts"
import { ArchiveWriter, generationOf, nameOf } from "./archiveFile.ts"
import { frameLength, readStored, type SegmentFacts } from "./archiveFrame.ts"
import { Bytes } from "./bytes.ts"
import { prefixLength, recordLengthMax } from "./records.ts"
import { decodeHeader, fileName, headerLengthMax, parseFileName } from "./segment.ts"
import { fromColumns, toColumns } from "./segmentColumns.ts"
import type { SegmentFolder } from "./segmentFolder.ts"

type Storage = JournalStorage["Service"]

/** Room for a frame, and for the longest record behind it. */
const bufferLength = frameLength + recordLengthMax + 2 * prefixLength

/** The first frame of a segment of several has the header and the names of series: it is written twice, and so it is short. */
const firstLength = 16 * 1024

const temporarySuffix = ".tmp"

/** What nothing can be read of is not removed: somebody may have a use for it. */
const damagedSuffix = ".damaged"

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
    const { generation } = folder.archived
    const fresh = yield* Effect.filter(
      names.map(parseFileName).filter((file) => file !== undefined),
      ({ writer, number }) => Effect.map(folder.holdsWhole(writer, number), (isWhole) => !isWhole)
    )
    if (fresh.length === 0) {
      // What an archiver before this one did not come to.
      yield* removeArchived(storage, folder, names)
      return { segments: 0, bytesBefore: 0, bytesAfter: 0 }
    }
    const next = Math.max(-1, generation ?? -1, ...names.map((name) => generationOf(name) ?? -1)) + 1
    const path = folder.file(nameOf(next))
    const temporary = `${path}${temporarySuffix}`
    yield* storage.remove(temporary)
    const { passedOver } = folder.archived
    const sizes = yield* Effect.scoped(write(storage, folder, temporary, fresh)).pipe(
      Effect.onError(() => Effect.ignore(storage.remove(temporary)))
    )
    yield* storage.rename(temporary, path)
    yield* storage.syncFolder(folder.path)
    for (const damaged of passedOver) yield* setAside(storage, folder, damaged)
    yield* removeArchived(storage, folder, yield* folder.look)
    return { segments: fresh.length, ...sizes }
  })

/** Everything in the folder that is in its archive too, and what an archiver left that was cut off. Safe to be cut off anywhere. */
const removeArchived = (storage: Storage, folder: SegmentFolder, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { contents, generation, passedOver } = folder.archived
    for (const damaged of passedOver) yield* setAside(storage, folder, damaged)
    let hadOlder = passedOver.length > 0
    for (const name of names) {
      const isTemporary = name.endsWith(temporarySuffix)
      const old = generationOf(isTemporary ? name.slice(0, -temporarySuffix.length) : name)
      if (old === undefined || (!isTemporary && (generation === undefined || old >= generation))) continue
      yield* storage.remove(folder.file(name))
      hadOlder = true
    }
    // As long as an older archive is there, all segments are that a newer one has taken in.
    if (hadOlder) yield* storage.syncFolder(folder.path)
    for (const name of names) {
      const file = parseFileName(name)
      if (file === undefined || !(yield* folder.holdsWhole(file.writer, file.number))) continue
      yield* storage.remove(folder.file(name))
    }
    // A lock goes after the segments: without segments its writer is known by the archive alone (J11.4).
    for (const writer of contents.writers.keys()) {
      const lock = `${writer}.lock`
      if (names.includes(lock)) yield* storage.remove(folder.file(lock))
    }
  })

/** Gives an archive of which nothing can be read a name by which it is none (J1.2). */
const setAside = (storage: Storage, folder: SegmentFolder, generation: number) => {
  const path = folder.file(nameOf(generation))
  return storage.rename(path, `${path}${damagedSuffix}`)
}

interface Place {
  readonly writer: string
  readonly number: number
}

const write = (storage: Storage, folder: SegmentFolder, path: string, fresh: ReadonlyArray<Place>) =>
  Effect.gen(function* () {
    const file = yield* storage.openAppend(path)
    const writer = new ArchiveWriter(storage, file, folder.run, yield* storage.randomHex(8))
    const { contents, generation } = folder.archived
    const buffers = { segment: new Bytes(bufferLength), back: new Uint8Array(bufferLength) }
    const all = new Map<string, Map<number, SegmentFacts>>()
    const put = (id: string, { content, number, origin, salt, size }: SegmentFacts) => {
      const segments = all.get(id) ?? new Map<number, SegmentFacts>()
      all.set(id, segments.set(number, { number, size, content, salt, origin }))
    }
    for (const [id, segments] of contents.writers) for (const segment of segments.values()) put(id, segment)
    const places = fresh.toSorted(byPlace)
    let bytesBefore = 0
    for (const place of places) {
      const facts = yield* openOwn(storage, folder, place, (own) => look(own, place.number, buffers.segment.u8))
      bytesBefore += facts.size
      put(place.writer, facts)
    }
    yield* writer.index(all, contents.lost)
    if (generation !== undefined) {
      const before = yield* storage.openRead(folder.file(nameOf(generation)))
      for (const [id, segments] of contents.writers) {
        for (const { frames, number } of segments.values()) {
          if (places.some((place) => place.writer === id && place.number === number)) continue
          for (const frame of frames) {
            const stored = yield* readStored(before, frame)
            // One that is damaged is left out, and its loss is counted as before.
            if (stored !== undefined) yield* writer.copy(frame, stored)
          }
          yield* writer.endSegment
        }
      }
    }
    for (const place of places) {
      const facts = all.get(place.writer)?.get(place.number)
      if (facts === undefined) continue
      yield* openOwn(storage, folder, place, (own) => packSegment(own, place.writer, facts, writer, buffers))
    }
    yield* writer.index(all, contents.lost)
    yield* writer.sync
    return { bytesBefore, bytesAfter: writer.length }
  })

const byPlace = (a: Place, b: Place): number =>
  a.writer === b.writer ? a.number - b.number : a.writer < b.writer ? -1 : 1

const openOwn = <A>(
  storage: Storage,
  folder: SegmentFolder,
  { number, writer }: Place,
  use: (file: ReadFile) => Effect.Effect<A, StorageError>
) => Effect.scoped(Effect.flatMap(storage.openRead(folder.file(fileName(writer, number))), use))

/** Salt and origin are 0 without a good header: then no record is looked for. */
const look = (file: ReadFile, number: number, buffer: Uint8Array): Effect.Effect<SegmentFacts, StorageError> =>
  Effect.gen(function* () {
    const size = yield* file.size
    const header = yield* readHeader(file, buffer)
    const content = yield* contentLength(file, size, buffer)
    const origin = header === undefined ? 0 : header.streamOffset - header.length
    return { number, size, content, salt: header?.salt ?? 0, origin }
  })

const readHeader = (file: ReadFile, buffer: Uint8Array) =>
  Effect.map(file.readInto(0, buffer.subarray(0, headerLengthMax)), (length) =>
    decodeHeader(buffer.subarray(0, length))
  )

const packSegment = (
  file: ReadFile,
  id: string,
  facts: SegmentFacts,
  writer: ArchiveWriter,
  { segment: { u8 }, back }: { readonly segment: Bytes; readonly back: Uint8Array }
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { content, size } = facts
    const origin = (yield* readHeader(file, u8)) === undefined ? undefined : facts
    for (let base = 0; base < content;) {
      // A record may end in zeros, and so beyond what is counted as content.
      const length = yield* file.readInto(base, u8.subarray(0, Math.min(u8.length, size - base)))
      if (length === 0) break
      const bytes = u8.subarray(0, length)
      const target = base === 0 && content > frameLength ? firstLength : frameLength
      const piece = toColumns(bytes, base, Math.min(target, content - base), origin)
      const original = bytes.subarray(0, piece.length)
      const copy = back.subarray(0, piece.length)
      const isSame = fromColumns(piece.plain, copy, base, facts) && isEqual(copy, original)
      // Bytes between records that are not zeros have no place in columns: such a piece is kept as it is.
      const kept = isSame ? piece : toColumns(original, base, piece.length, undefined)
      yield* writer.frame(id, facts, base, kept.length, kept.plain)
      base += kept.length
      // Lanes of other runs go on meanwhile.
      yield* Effect.yieldNow
    }
    yield* writer.endSegment
  })

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
