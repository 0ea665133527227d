/**
 * The files of a run that events name by their digest (journal.md §6). What is kept is on the disk, with its name, before the call returns,
 * so that an event which is published afterwards never names what a power cut has taken.
 */
import * as Effect from "effect/Effect"
import type { JournalStorage, KeptFile, StorageError } from "../JournalStorage.ts"

export interface Blob {
  /** `sha256:<hex>` */
  readonly digest: string
  readonly bytes: number
}

export class Blobs {
  readonly storage: JournalStorage["Service"]
  private readonly folder: string

  constructor(storage: JournalStorage["Service"], runFolder: string) {
    this.storage = storage
    this.folder = storage.join(runFolder, "blobs")
  }

  keep(content: Uint8Array): Effect.Effect<Blob, StorageError> {
    const { folder, storage } = this
    return Effect.gen(function* () {
      const sha256 = yield* storage.sha256(content)
      yield* storage.makeFolder(folder)
      yield* storage.replace(storage.join(folder, sha256), content, { sync: true })
      return { digest: digestOf(sha256), bytes: content.length }
    })
  }

  /** Of a file of a user's; its name is safe only behind `sync`. */
  copy(source: string, bytesMax: number): Effect.Effect<Blob & Pick<KeptFile, "isChanged">, StorageError> {
    const { folder, storage } = this
    return storage.makeFolder(folder).pipe(
      Effect.andThen(storage.keepFile(source, folder, bytesMax)),
      Effect.map(({ sha256, bytes, isChanged }) => ({ digest: digestOf(sha256), bytes, isChanged }))
    )
  }

  get sync(): Effect.Effect<void, StorageError> {
    return this.storage.syncFolder(this.folder)
  }
}

const digestOf = (sha256: string): string => `sha256:${sha256}`
