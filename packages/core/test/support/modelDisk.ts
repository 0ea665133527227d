/**
 * A disk that can lose its power: what was not synced is dropped, torn or reordered.
 *
 * The model is the weakest that file systems promise, and no stronger. A file's bytes are kept in pages of 4 KiB: of a page that was written since the
 * last sync the old one, the new one, or a new beginning and an old end (cut at a sector of 512 bytes) may be found. Its length may be the old or the new one; what
 * was never written reads as zeros. A name that was made, replaced or removed since its folder was synced may be there or not.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { JournalStorage, StorageError } from "../../src/JournalStorage.ts"
import type { random } from "./histories.ts"

type Random = ReturnType<typeof random>

const pageLength = 4_096
const sectorLength = 512

/** A file, whatever its names. */
interface Inode {
  durable: Uint8Array
  bytes: Uint8Array
}

/** One process on the machine, until it is killed or the power fails. */
export interface Life {
  readonly storage: Context.Service.Shape<typeof JournalStorage>
  /** Operations so far that change the disk. */
  readonly operations: () => number
  /** It was killed, or the power has failed: no operation ends any more. */
  readonly isOff: () => boolean
  /** As SIGKILL does: what it has written stays, and its locks are free. */
  readonly kill: () => void
}

export class ModelDisk {
  /** Names as processes see them, and as the disk has them. A folder is a name without an inode of its own: it is there when it was made. */
  private names = new Map<string, Inode>()
  private durableNames = new Map<string, Inode>()
  private folders = new Set<string>()
  /** Who holds a lock: nobody when that process is no more. */
  private readonly holders = new Map<string, () => boolean>()
  private readonly rng: Random

  constructor(rng: Random) {
    this.rng = rng
  }

  /** A process that ends at its `failsAt`th operation that changes the disk: before it, or when it is done. Others may run beside it. */
  boot(failsAt: number): Life {
    const { rng, holders } = this
    let operations = 0
    let isOff = false
    const isAlive = () => !isOff
    const isHeld = (path: string) => holders.get(path)?.() === true
    const die = Effect.suspend(() => {
      isOff = true
      return Effect.never
    })
    /** An operation that changes the disk; `part` does a part of it. */
    const change = <A>(f: () => A, part?: () => void): Effect.Effect<A, StorageError> =>
      Effect.suspend(() => {
        if (isOff) return Effect.never
        operations++
        if (operations !== failsAt) return attempt(f)
        const dice = rng.next()
        if (part !== undefined && dice < 0.3) return Effect.andThen(attempt(part), die)
        return dice < 0.6 ? die : Effect.andThen(attempt(f), die)
      })
    const look = <A>(f: () => A): Effect.Effect<A, StorageError> =>
      Effect.suspend(() => (isOff ? Effect.never : attempt(f)))

    const storage = JournalStorage.of({
      join: (...parts) => parts.filter((part) => part !== "").join("/"),
      list: (folder) =>
        look(() => [
          ...new Set(
            [...this.names.keys(), ...this.folders]
              .filter((path) => path.startsWith(`${folder}/`))
              .map((path) => path.slice(folder.length + 1).split("/", 1)[0] ?? "")
          )
        ]),
      makeFolder: (folder) => look(() => void this.folders.add(folder)),
      read: (path) => look(() => this.names.get(path)?.bytes.slice()),
      replace: (path, bytes, { sync }) =>
        change(() => {
          const inode = { bytes: bytes.slice(), durable: new Uint8Array() }
          if (sync) inode.durable = inode.bytes.slice()
          this.names.set(path, inode)
          if (sync) this.durableNames.set(path, inode)
        }),
      append: (path, bytes) =>
        Effect.flatMap(
          change(() => {
            const inode = this.names.get(path) ?? { bytes: new Uint8Array(), durable: new Uint8Array() }
            inode.bytes = concatenate(inode.bytes, bytes)
            this.names.set(path, inode)
            return inode
          }),
          // Synced by a step of its own, with its name.
          (inode) =>
            change(() => {
              inode.durable = inode.bytes.slice()
              this.durableNames.set(path, inode)
            })
        ),
      rename: (from, to) =>
        change(() => {
          const inode = this.names.get(from)
          if (inode === undefined) throw missing(from)
          this.names.set(to, inode)
          this.names.delete(from)
        }),
      removeFolder: () => Effect.die("not in the model"),
      folderBytes: () => Effect.die("not in the model"),
      userFiles: () => Effect.die("not in the model"),
      keepFile: () => Effect.die("not in the model"),
      deflate: () => Effect.die("not in the model"),
      remove: (path) => change(() => void this.names.delete(path)),
      shorten: (path, length) =>
        change(() => {
          const inode = this.names.get(path)
          if (inode !== undefined) inode.bytes = inode.bytes.slice(0, length)
        }),
      openRead: (path) =>
        look(() => {
          const inode = this.names.get(path)
          if (inode === undefined) throw missing(path)
          return {
            readInto: (offset: number, buffer: Uint8Array) =>
              look(() => {
                const part = inode.bytes.subarray(offset, offset + buffer.length)
                buffer.set(part)
                return part.length
              }),
            size: look(() => inode.bytes.length)
          }
        }),
      openAppend: (path) =>
        change(() => {
          const inode: Inode = { bytes: new Uint8Array(), durable: new Uint8Array() }
          this.names.set(path, inode)
          return {
            append: (vectors: ReadonlyArray<Uint8Array>) => {
              const bytes = concatenate(...vectors)
              return change(
                () => void (inode.bytes = concatenate(inode.bytes, bytes)),
                () => void (inode.bytes = concatenate(inode.bytes, bytes.subarray(0, rng.below(bytes.length))))
              )
            },
            sync: change(() => void (inode.durable = inode.bytes.slice()))
          }
        }),
      syncFolder: (folder) =>
        change(() => {
          const isIn = (path: string) => path.slice(0, path.lastIndexOf("/")) === folder
          for (const path of this.durableNames.keys())
            if (isIn(path) && !this.names.has(path)) this.durableNames.delete(path)
          for (const [path, inode] of this.names) if (isIn(path)) this.durableNames.set(path, inode)
        }),
      // Locks are the kernel's: nothing of them outlives their process, and their files are empty.
      lock: (path) =>
        Effect.acquireRelease(
          Effect.sync(() => !isHeld(path) && holders.set(path, isAlive) !== undefined),
          (taken) => Effect.sync(() => taken && holders.get(path) === isAlive && holders.delete(path))
        ),
      probe: (path) => Effect.sync(() => (isHeld(path) ? "held" : "free")),
      sha256: (bytes) => Effect.sync(() => hash(bytes)),
      compress: (bytes) => Effect.succeed(bytes),
      decompress: (bytes, length) => Effect.succeed(bytes.length === length ? bytes : undefined),
      randomHex: (bytes) =>
        Effect.sync(() => Array.from({ length: bytes * 2 }, () => rng.below(16).toString(16)).join("")),
      origin: Effect.succeed({}),
      host: { name: "model", boot: "boot", pid: 1 },
      isLocal: () => Effect.succeed(true)
    })
    return { storage, operations: () => operations, isOff: () => isOff, kill: () => void (isOff = true) }
  }

  /** What is found when the power is back. */
  crash(): void {
    const { rng } = this
    this.holders.clear()
    const found = new Map<string, Inode>()
    for (const path of new Set([...this.names.keys(), ...this.durableNames.keys()])) {
      const now = this.names.get(path)
      const before = this.durableNames.get(path)
      const inode = now === before || rng.next() < 0.5 ? now : before
      if (inode !== undefined) found.set(path, inode)
    }
    for (const inode of new Set(found.values())) {
      inode.bytes = this.survivor(inode)
      inode.durable = inode.bytes.slice()
    }
    this.names = found
    this.durableNames = new Map(found)
  }

  private survivor({ bytes, durable }: Inode): Uint8Array {
    const { rng } = this
    const length = rng.next() < 0.5 ? bytes.length : durable.length
    const found = new Uint8Array(length)
    for (let page = 0; page < length; page += pageLength) {
      const end = Math.min(length, page + pageLength)
      const old = durable.subarray(page, end)
      const fresh = bytes.subarray(page, end)
      const dice = rng.next()
      found.set(dice < 0.4 ? old : fresh, page)
      if (dice >= 0.8) {
        // The first sectors are new, the others old, or never written.
        const cut = Math.min(end, page + sectorLength * rng.below(pageLength / sectorLength))
        found.fill(0, cut, end)
        found.set(durable.subarray(cut, end), cut)
      }
    }
    return found
  }
}

const concatenate = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Enough to name a blob by: FNV-1a, repeated to the length of a SHA-256. */
const hash = (bytes: Uint8Array): string => {
  let h = 0x811c9dc5
  for (const byte of bytes) h = Math.imul(h ^ byte, 0x01000193) >>> 0
  return h.toString(16).padStart(8, "0").repeat(8)
}

const missing = (path: string): StorageError =>
  new StorageError({ operation: "open", path, code: "ENOENT", message: `there is no ${path}` })

const attempt = <A>(f: () => A): Effect.Effect<A, StorageError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (error) {
      return error instanceof StorageError ? Effect.fail(error) : Effect.die(error)
    }
  })
