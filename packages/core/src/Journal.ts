/**
 * The journals of a folder: what one process writes, and what anybody reads. How durable it is shows in the wiring: `layerFile` on a
 * platform's storage, `layerMemory` for tests and for runs that may be forgotten.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { JournalStorage, layerMemory as storageInMemory, StorageError } from "./JournalStorage.ts"
import { idPattern } from "./Name.ts"
import { RunId, WriterId } from "./Run.ts"
import { RunJournal } from "./RunJournal.ts"
import { encodeText } from "./internal/bytes.ts"
import { JournalWriter } from "./internal/journalWriter.ts"
import { describeValue } from "./internal/describeValue.ts"
import type { Role } from "./internal/segment.ts"
import { WriterIds } from "./internal/writerIds.ts"
import { folderProblem } from "./internal/wiring.ts"
import { Chunk } from "./internal/writerTail.ts"

export type { JournalWriter, OnFull } from "./internal/journalWriter.ts"
export type { StorageError as JournalError } from "./JournalStorage.ts"

/** Bytes that may wait in a writer's buffer before `log` blocks, fails or drops. */
export const bufferBytesDefault = 4 * 1024 * 1024

export interface WriterOptions {
  readonly run: RunId
  readonly role: Role
  /** The writer an observer or a child belongs to. */
  readonly of?: string
  /** Goes on with a run that others have ended: how these ended does not count any more (journal.md J10.3). */
  readonly resumes?: boolean
  readonly bufferBytes?: number
}

export class Journal extends Context.Service<
  Journal,
  {
    /** Absolute path of the folder, or a name for one in memory. */
    readonly folder: string
    /** True when nothing outlives the process. */
    readonly isInMemory: boolean
    readonly storage: JournalStorage["Service"]
    /** Ids of the runs in the folder, in no order. */
    readonly runs: Effect.Effect<ReadonlyArray<RunId>, StorageError>
    /** Ids of the writers that have a segment in the run: one listing; of an archive its index is read, once. */
    readonly writerIds: (run: RunId) => Effect.Effect<ReadonlySet<string>, StorageError>
    /** 32 hexadecimal digits that no run has. */
    readonly newRunId: Effect.Effect<RunId>
    /** A run to be read or delivered; it need not exist (yet). */
    readonly open: (run: RunId) => Effect.Effect<RunJournal, never, Scope.Scope>
    /** A writer of this process. It is alive until the scope closes; what it holds is committed then. */
    readonly write: (options: WriterOptions) => Effect.Effect<JournalWriter, StorageError, Scope.Scope>
  }
>()("@tracelet/core/Journal") {}

const make = Effect.fnUntraced(function* (folder: string, isInMemory: boolean) {
  const storage = yield* JournalStorage
  const writerIds = new WriterIds(storage)
  const runFolder = (run: string) => storage.join(folder, "runs", run)
  const shared = { storage, runFolder, chunk: new Chunk(), reading: yield* Semaphore.make(1) }
  // J1.4: in a folder of the user's own it would hide the user's files.
  const keepOutOfGit = storage.replace(storage.join(folder, ".gitignore"), encodeText("*\n"), { sync: false })
  const write = Effect.fnUntraced(function* ({ run, role, of, resumes = false, bufferBytes }: WriterOptions) {
    const id = WriterId.make(yield* storage.randomHex(8))
    const journal = storage.join(runFolder(run), "journal")
    const isNew = (yield* storage.list(folder)).length === 0
    yield* storage.makeFolder(journal)
    if (isNew) yield* keepOutOfGit
    yield* storage.lock(storage.join(journal, `${id}.lock`))
    const { name: host, boot, pid } = storage.host
    const random = Number.parseInt(yield* storage.randomHex(4), 16)
    let segments = 0
    const writer = new JournalWriter({
      storage,
      runFolder: runFolder(run),
      role,
      identity: {
        run,
        writer: id,
        host,
        boot,
        pid,
        ...(of === undefined ? {} : { of }),
        ...(resumes ? { resumes } : {})
      },
      bufferBytes: bufferBytes ?? bufferBytesDefault,
      isLocal: yield* storage.isLocal(journal),
      // A different salt for every segment of a random first one: an odd multiplier visits all 2^32.
      salt: () => (random + Math.imul(++segments, 0x9e3779b1)) >>> 0
    })
    yield* Effect.forkScoped(writer.run)
    yield* Effect.addFinalizer(() => Effect.ignore(writer.flush))
    return writer
  })
  return Journal.of({
    folder,
    isInMemory,
    storage,
    runs: Effect.map(storage.list(storage.join(folder, "runs")), (names) =>
      names.filter((name) => idPattern.test(name)).map((name) => RunId.make(name))
    ),
    writerIds: (run) => writerIds.of(run, storage.join(runFolder(run), "journal")),
    newRunId: Effect.map(storage.randomHex(16), (id) => RunId.make(id)),
    open: (run) => Effect.map(Effect.scope, (scope) => new RunJournal(shared, run, scope)),
    write
  })
})

/** The journals of `dir`, on the platform's disk. The folder is made with the first run. Fails where `dir` is no path. */
export const layerFile = (options: { readonly dir: string }): Layer.Layer<Journal, StorageError, JournalStorage> =>
  Layer.effect(
    Journal,
    Effect.suspend(() => {
      // Untyped code may leave the options out.
      const dir: unknown = Predicate.hasProperty(options, "dir") ? options.dir : undefined
      const message = folderProblem(dir)
      if (message === undefined) return make(options.dir, false)
      return Effect.fail(new StorageError({ operation: "use the folder", path: describeValue(dir), code: "", message }))
    })
  )

/** Journals that end with the process. */
export const layerMemory: Layer.Layer<Journal> = Layer.provide(
  Layer.effect(Journal, make("memory", true)),
  storageInMemory
)
