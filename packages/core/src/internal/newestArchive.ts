/**
 * The archive of a folder that counts (J11.1): the newest that can be read. One that cannot be read hides neither an older one nor segments
 * that lie beside it.
 */
import * as Effect from "effect/Effect"
import type { JournalStorage, StorageError } from "../JournalStorage.ts"
import { generationOf, nameOf, nothing, readContents, type Contents } from "./archiveFile.ts"
import { decodeHeader, fileName, headerLengthMax, parseFileName } from "./segment.ts"

type Storage = JournalStorage["Service"]

export interface Newest {
  readonly generation: number | undefined
  readonly contents: Contents
  /** Newer ones of which nothing can be read. */
  readonly passedOver: ReadonlyArray<number>
}

/** Numbers of the archives among the names of a folder, the greatest first. */
export const generationsOf = (names: ReadonlyArray<string>): ReadonlyArray<number> =>
  names
    .map(generationOf)
    .filter((generation) => generation !== undefined)
    .toSorted((a, b) => b - a)

/** Fails with code `EDAMAGED` when no archive can be read and no segment lies beside them. */
export const readNewest = (
  storage: Storage,
  folder: string,
  names: ReadonlyArray<string>,
  run: string
): Effect.Effect<Newest, StorageError> =>
  Effect.gen(function* () {
    const passedOver: Array<number> = []
    let damaged: StorageError | undefined
    for (const generation of generationsOf(names)) {
      const contents = yield* readContents(storage, storage.join(folder, nameOf(generation)), run).pipe(
        Effect.catchIf(
          ({ code }) => code === "EDAMAGED",
          (error) =>
            Effect.as(
              Effect.sync(() => (damaged ??= error)),
              undefined
            )
        )
      )
      // Older ones go before any segment (J11.4): what the newer one took in is still there.
      if (contents !== undefined) return { generation, contents, passedOver }
      passedOver.push(generation)
    }
    if (damaged === undefined) return { generation: undefined, contents: nothing, passedOver }
    if (!names.some((name) => parseFileName(name) !== undefined)) return yield* damaged
    let lost = 0
    if (!(yield* isComplete(storage, folder, names, run))) {
      for (const generation of passedOver) {
        const path = storage.join(folder, nameOf(generation))
        const size = yield* Effect.scoped(Effect.flatMap(storage.openRead(path), (file) => file.size))
        lost += Math.max(1, size)
      }
    }
    return { generation: undefined, contents: { ...nothing, lost }, passedOver }
  })

/**
 * Whether the segments are all that an archive beside them was made of: none is missing in between, a lock has segments of its writer, and the
 * run's first is among them. A change of a run that was archived, for one, does not pass for all of it (J11.5).
 */
const isComplete = (storage: Storage, folder: string, names: ReadonlyArray<string>, run: string) =>
  Effect.gen(function* () {
    const numbers = new Map<string, Array<number>>()
    for (const name of names) {
      const file = parseFileName(name)
      if (file !== undefined) numbers.set(file.writer, [...(numbers.get(file.writer) ?? []), file.number])
    }
    for (const all of numbers.values()) if (Math.max(...all) !== all.length - 1) return false
    for (const name of names) if (name.endsWith(".lock") && !numbers.has(name.slice(0, -5))) return false
    for (const writer of numbers.keys()) {
      const header = yield* Effect.scoped(
        Effect.gen(function* () {
          const file = yield* storage.openRead(storage.join(folder, fileName(writer, 0)))
          const bytes = new Uint8Array(headerLengthMax)
          return decodeHeader(bytes.subarray(0, yield* file.readInto(0, bytes)))
        })
      )
      if (header?.role === "primary" && header.identity.run === run) return true
    }
    return false
  })
