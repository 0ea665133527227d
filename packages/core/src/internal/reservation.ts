/**
 * What a killed writer reserved and did not use (journal.md J2.9): the segment it had ready, and the zeros behind its last record. Up to
 * 16 MiB a writer, which no reader needs.
 */
import * as Effect from "effect/Effect"
import type { JournalStorage, ReadFile, StorageError } from "../JournalStorage.ts"
import { align8, Bytes } from "./bytes.ts"
import { prefixLength, recordLengthMax } from "./records.ts"
import { decodeHeader, fileName, headerLengthMax } from "./segment.ts"
import type { WriterView } from "./writerTail.ts"

type Storage = JournalStorage["Service"]

/** Bytes read at a time. */
const chunkLength = 256 * 1024

/** Of a writer that is over, on a file system whose locks say so; by the holder of the run's `delivery.lock`. */
export const giveBack = (storage: Storage, folder: string, writer: WriterView): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    for (const name of yield* storage.list(folder)) {
      if (isReadyFor(writer.id, name)) yield* storage.remove(storage.join(folder, name))
    }
    const last = writer.segments.at(-1)
    if (last === undefined) return
    const path = storage.join(folder, fileName(writer.id, last))
    const end = yield* Effect.scoped(Effect.flatMap(storage.openRead(path), endOfRecords))
    if (end !== undefined) yield* storage.shorten(path, end)
  })

/** A segment that was made and has no name yet. */
const isReadyFor = (writer: string, name: string): boolean =>
  name.startsWith(`${writer}.`) && /^\d+\.tlj\.[0-9a-f]{8}\.tmp$/.test(name.slice(writer.length + 1))

/**
 * Where the last record ends, when nothing but zeros follows. `undefined` when that cannot be told: what is damaged stays as it is. Lengths
 * are enough here, since a wrong one leads to bytes that are no zeros, or to nothing that is cut.
 */
const endOfRecords = (file: ReadFile): Effect.Effect<number | undefined, StorageError> =>
  Effect.gen(function* () {
    const chunk = new Bytes(chunkLength)
    const headerLength = yield* file.readInto(0, chunk.u8.subarray(0, headerLengthMax))
    let at = decodeHeader(chunk.u8.subarray(0, headerLength))?.length
    if (at === undefined) return undefined
    let end: number | undefined
    for (;;) {
      const length = yield* file.readInto(at, chunk.u8)
      let offset = 0
      while (end === undefined && offset + prefixLength <= length) {
        const recordLength = chunk.view.getUint32(offset, true)
        if (recordLength === 0) end = at + offset
        else if (recordLength < 4 || recordLength > recordLengthMax) return undefined
        else if (offset + align8(prefixLength + recordLength) > length) break
        else offset += align8(prefixLength + recordLength)
      }
      if (end !== undefined && chunk.u8.subarray(offset, length).some((byte) => byte !== 0)) return undefined
      if (length < chunkLength) return end
      at += end === undefined ? offset : length
      // A segment of 8 MiB must not hold up whoever asks for the status.
      yield* Effect.yieldNow
    }
  })
