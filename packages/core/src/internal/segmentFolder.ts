/**
 * The segments of one folder, wherever they lie: in files of their own, in the archive of a run that is over, or, for as long as an archive
 * takes them in, in both. Whoever reads a segment need not know (journal.md §11).
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { JournalStorage, ReadFile, StorageError } from "../JournalStorage.ts"
import { generationOf, nameOf, openSegment, readContents, type Contents } from "./archiveFile.ts"
import { fileName, parseFileName } from "./segment.ts"

type Storage = JournalStorage["Service"]

const nothing: Contents = new Map()

/** How often a listing is made again when what it named is gone: somebody archives the run meanwhile. */
const attemptsMax = 5

/** The newest archive among the names of a folder: what is in an older one is in it too. */
export const newestArchive = (names: ReadonlyArray<string>): number | undefined => {
  const generations = names.map(generationOf).filter((generation) => generation !== undefined)
  return generations.length === 0 ? undefined : Math.max(...generations)
}

export class SegmentFolder {
  readonly path: string
  readonly run: string
  private readonly storage: Storage
  /** The archive that was last read, and what it holds. */
  private archive: number | undefined
  private contents: Contents = nothing

  constructor(storage: Storage, path: string, run: string) {
    this.storage = storage
    this.path = path
    this.run = run
  }

  /** Numbers of the segments of each writer, ascending. */
  get list(): Effect.Effect<ReadonlyMap<string, ReadonlyArray<number>>, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const names = yield* this.look
      const segments = new Map<string, Set<number>>()
      for (const [writer, archived] of this.contents) segments.set(writer, new Set(archived.keys()))
      for (const name of names) {
        const file = parseFileName(name)
        if (file === undefined) continue
        const known = segments.get(file.writer)
        if (known === undefined) segments.set(file.writer, new Set([file.number]))
        else known.add(file.number)
      }
      return new Map(Array.from(segments, ([writer, numbers]) => [writer, [...numbers].toSorted((a, b) => a - b)]))
    })
  }

  /** As of the last look, whether all of a writer that was there then is in the archive: it is over for good. */
  isArchived(writer: string): boolean {
    return this.contents.has(writer)
  }

  /** A segment as a file. Fails with `ENOENT` when it is nowhere. */
  open(writer: string, number: number): Effect.Effect<ReadFile, StorageError, Scope.Scope> {
    const attempt = (left: number): Effect.Effect<ReadFile, StorageError, Scope.Scope> =>
      Effect.catch(
        Effect.suspend(() => {
          const archived = this.contents.get(writer)?.get(number)
          return archived === undefined || this.archive === undefined
            ? this.storage.openRead(this.file(fileName(writer, number)))
            : openSegment(this.storage, this.file(nameOf(this.archive)), archived)
        }),
        (error) =>
          error.code === "ENOENT" && left > 0 ? Effect.andThen(this.look, attempt(left - 1)) : Effect.fail(error)
      )
    return attempt(attemptsMax)
  }

  /** The names in the folder; the archive among them is read when it is another than before. */
  get look(): Effect.Effect<ReadonlyArray<string>, StorageError> {
    const attempt = (left: number): Effect.Effect<ReadonlyArray<string>, StorageError> =>
      Effect.gen({ self: this }, function* () {
        const names = yield* this.storage.list(this.path)
        const newest = newestArchive(names)
        if (newest === this.archive) return names
        const contents =
          newest === undefined ? nothing : yield* readContents(this.storage, this.file(nameOf(newest)), this.run)
        this.archive = newest
        this.contents = contents
        return names
      }).pipe(Effect.catch((error) => (error.code === "ENOENT" && left > 0 ? attempt(left - 1) : Effect.fail(error))))
    return attempt(attemptsMax)
  }

  /** The archive as of the last look. */
  get archived(): { readonly generation: number | undefined; readonly contents: Contents } {
    return { generation: this.archive, contents: this.contents }
  }

  file(name: string): string {
    return this.storage.join(this.path, name)
  }
}
