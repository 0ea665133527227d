/**
 * The segments of one folder, wherever they lie: in files of their own, in the archive of a run that is over, or, for as long as an archive
 * takes them in, in both. Whoever reads a segment need not know (journal.md §11).
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { JournalStorage, ReadFile, StorageError } from "../JournalStorage.ts"
import { isWhole, nameOf, nothing, openSegment } from "./archiveFile.ts"
import { generationsOf, readNewest, type Newest } from "./newestArchive.ts"
import { fileName, parseFileName } from "./segment.ts"

type Storage = JournalStorage["Service"]

/** How often a listing is made again when what it named is gone: somebody archives the run meanwhile. */
const attemptsMax = 5

export class SegmentFolder {
  readonly path: string
  readonly run: string
  private readonly storage: Storage
  /** The greatest number that an archive had as of the last look. */
  private greatest: number | undefined
  private newest: Newest = { generation: undefined, contents: nothing, passedOver: [] }
  /** Names as of the last look. */
  private names: ReadonlySet<string> = new Set()

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
      for (const [writer, archived] of this.newest.contents.writers) segments.set(writer, new Set(archived.keys()))
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
    return this.newest.contents.writers.has(writer)
  }

  /** A segment as a file. Fails with `ENOENT` when it is nowhere. */
  open(writer: string, number: number): Effect.Effect<ReadFile, StorageError, Scope.Scope> {
    const attempt = (left: number): Effect.Effect<ReadFile, StorageError, Scope.Scope> =>
      Effect.catch(
        Effect.gen({ self: this }, function* () {
          const { contents, generation } = this.newest
          const archived = contents.writers.get(writer)?.get(number)
          const own = fileName(writer, number)
          const isOwn =
            archived === undefined ||
            generation === undefined ||
            // While it is in both, a damaged archive does not stand before it.
            (this.names.has(own) && !(yield* this.holdsWhole(writer, number)))
          return yield* isOwn
            ? this.storage.openRead(this.file(own))
            : openSegment(this.storage, this.file(nameOf(generation)), archived)
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
        const greatest = generationsOf(names)[0]
        if (greatest !== this.greatest) {
          this.newest = yield* readNewest(this.storage, this.path, names, this.run)
          this.greatest = greatest
          for (const generation of this.newest.passedOver) {
            yield* Effect.logWarning(
              `Nothing can be read of the archive ${this.file(nameOf(generation))}. What lies beside it is read.`
            )
          }
        }
        this.names = new Set(names)
        return names
      }).pipe(Effect.catch((error) => (error.code === "ENOENT" && left > 0 ? attempt(left - 1) : Effect.fail(error))))
    return attempt(attemptsMax)
  }

  /** The archive as of the last look. */
  get archived(): Newest {
    return this.newest
  }

  /** As of the last look, whether the archive has a segment with every byte of it good. Reads all of it. */
  holdsWhole(writer: string, number: number): Effect.Effect<boolean, StorageError> {
    const { contents, generation } = this.newest
    const archived = contents.writers.get(writer)?.get(number)
    return archived === undefined || generation === undefined
      ? Effect.succeed(false)
      : isWhole(this.storage, this.file(nameOf(generation)), archived)
  }

  file(name: string): string {
    return this.storage.join(this.path, name)
  }
}
