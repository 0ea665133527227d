/**
 * `JournalStorage` in a `Map`: for tests, and for runs that need no disk. It refuses what a disk refuses (a file in a folder that is not
 * there, a segment that exists), so that what passes here passes there. `makeMemory` hands out the bytes, for tests that mutilate them.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { JournalStorage } from "../JournalStorage.ts"
import { StorageError } from "./storageError.ts"

/** The part of WebCrypto that is used here: core has the types of no platform. */
declare const crypto: {
  readonly subtle: { readonly digest: (algorithm: "SHA-256", bytes: Uint8Array) => Promise<ArrayBuffer> }
  readonly getRandomValues: (bytes: Uint8Array) => Uint8Array
}

export interface Memory {
  readonly storage: Context.Service.Shape<typeof JournalStorage>
  /** By path. What is set here is what the storage reads next. */
  readonly files: Map<string, Uint8Array>
  /** Paths of the locks that are held. A path that a test adds is held by "another process". */
  readonly locks: Set<string>
}

export interface MemoryOptions {
  readonly host?: { readonly name: string; readonly boot: string; readonly pid: number }
  /** What `isLocal` answers; true when it is left out. */
  readonly isLocal?: boolean
}

export const makeMemory = (options: MemoryOptions = {}): Memory => {
  const files = new Map<string, Uint8Array>()
  const folders = new Set<string>()
  const locks = new Set<string>()
  // How much of a buffer of our own is written: only behind that may a file grow in place. A test's bytes are never written to.
  const used = new WeakMap<ArrayBufferLike, number>()

  const checkParent = (operation: string, path: string) => {
    const folder = parent(path)
    if (folder !== "" && !folders.has(folder)) throw failure(operation, path, "ENOENT", "no such folder")
  }

  const extend = (path: string, vectors: ReadonlyArray<Uint8Array>) => {
    const old = files.get(path) ?? new Uint8Array(0)
    const length = vectors.reduce((sum, vector) => sum + vector.length, old.length)
    const inPlace = old.byteOffset === 0 && used.get(old.buffer) === old.length && length <= old.buffer.byteLength
    const bytes = inPlace ? new Uint8Array(old.buffer) : new Uint8Array(Math.max(64, 2 * length))
    if (!inPlace) bytes.set(old)
    let end = old.length
    for (const vector of vectors) {
      bytes.set(vector, end)
      end += vector.length
    }
    used.set(bytes.buffer, length)
    files.set(path, bytes.subarray(0, length))
  }

  const storage: Memory["storage"] = {
    join: (...parts) => parts.filter((part) => part !== "").join("/"),
    list: (folder) =>
      Effect.sync(() => {
        const names = new Set<string>()
        for (const path of [...files.keys(), ...folders]) {
          if (path.startsWith(`${folder}/`)) names.add(path.slice(folder.length + 1).split("/", 1)[0] ?? "")
        }
        return [...names]
      }),
    makeFolder: (folder) =>
      attempt(() => {
        for (let path = folder; path !== ""; path = parent(path)) {
          if (files.has(path)) throw failure("make the folder", folder, "EEXIST", `${path} is a file`)
          folders.add(path)
        }
      }),
    read: (path) => attempt(() => (refuseLock("read", path), files.get(path)?.slice())),
    replace: (path, bytes) =>
      attempt(() => {
        refuseLock("replace", path)
        checkParent("replace", path)
        files.set(path, bytes.slice())
      }),
    append: (path, bytes) =>
      attempt(() => {
        refuseLock("append to", path)
        checkParent("append to", path)
        extend(path, [bytes])
      }),
    rename: (from, to) =>
      attempt(() => {
        refuseLock("rename", from)
        checkParent("rename", to)
        if (!files.has(from) && !folders.has(from)) throw failure("rename", from, "ENOENT", "no such file")
        for (const [path, bytes] of files) {
          if (path !== from && !path.startsWith(`${from}/`)) continue
          files.set(to + path.slice(from.length), bytes)
          files.delete(path)
        }
        for (const path of folders) {
          if (path !== from && !path.startsWith(`${from}/`)) continue
          folders.add(to + path.slice(from.length))
          folders.delete(path)
        }
      }),
    removeFolder: (folder) =>
      Effect.sync(() => {
        for (const path of files.keys()) if (path.startsWith(`${folder}/`)) files.delete(path)
        for (const path of folders) if (path === folder || path.startsWith(`${folder}/`)) folders.delete(path)
      }),
    folderBytes: (folder) =>
      Effect.sync(() =>
        [...files].reduce((sum, [path, bytes]) => sum + (path.startsWith(`${folder}/`) ? bytes.length : 0), 0)
      ),
    remove: (path) => Effect.sync(() => void files.delete(path)),
    shorten: (path, length) =>
      attempt(() => {
        refuseLock("shorten", path)
        const bytes = files.get(path)
        if (bytes !== undefined && bytes.length > length) files.set(path, bytes.slice(0, length))
      }),
    userFiles: (path, filesMax) =>
      attempt(() => {
        const name = path.slice(path.lastIndexOf("/") + 1)
        if (files.has(path)) return { name, isFolder: false, files: [{ path: name, source: path }], left: [] }
        if (!folders.has(path)) throw failure("read", path, "ENOENT", "no such file")
        const below = [...files.keys()].filter((file) => file.startsWith(`${path}/`)).toSorted()
        const found = below.map((source) => ({ path: source.slice(path.length + 1), source }))
        const left = found
          .slice(filesMax)
          .map((file) => ({ path: file.path, reason: `an artifact has at most ${filesMax} files` }))
        return { name, isFolder: true, files: found.slice(0, filesMax), left }
      }),
    keepFile: (source, folder, bytesMax) =>
      Effect.gen(function* () {
        const bytes = yield* attempt(() => {
          const found = files.get(source)?.slice()
          if (found === undefined) throw failure("copy", source, "ENOENT", "no such file")
          if (found.length > bytesMax) throw failure("copy", source, "EFBIG", `it has more than ${bytesMax} bytes`)
          return found
        })
        const sha256 = yield* storage.sha256(bytes)
        yield* storage.replace(storage.join(folder, sha256), bytes, { sync: true })
        return { sha256, bytes: bytes.length, isChanged: false }
      }),
    openRead: (path) =>
      attempt(() => {
        refuseLock("open", path)
        let seen = files.get(path)
        if (seen === undefined) throw failure("open", path, "ENOENT", "no such file")
        // A file that was removed stays readable for whoever has it open.
        const now = () => (seen = files.get(path) ?? seen ?? new Uint8Array(0))
        return {
          readInto: (offset: number, buffer: Uint8Array) =>
            Effect.sync(() => {
              const part = now().subarray(offset, offset + buffer.length)
              buffer.set(part)
              return part.length
            }),
          size: Effect.sync(() => now().length)
        }
      }),
    openAppend: (path) =>
      attempt(() => {
        refuseLock("create", path)
        checkParent("create", path)
        if (files.has(path)) throw failure("create", path, "EEXIST", "it is there already")
        files.set(path, new Uint8Array(0))
        return {
          append: (vectors: ReadonlyArray<Uint8Array>) => Effect.sync(() => files.has(path) && extend(path, vectors)),
          sync: attempt(() => {
            if (!files.has(path)) throw failure("sync", path, "ENOENT", "somebody removed it")
          })
        }
      }),
    syncFolder: (folder) =>
      attempt(() => {
        if (!folders.has(folder)) throw failure("sync the folder", folder, "ENOENT", "no such folder")
      }),
    lock: (path) =>
      Effect.acquireRelease(
        attempt(() => {
          checkParent("lock", path)
          if (locks.has(path)) return false
          if (!files.has(path)) files.set(path, new Uint8Array(0))
          locks.add(path)
          return true
        }),
        (taken) => Effect.sync(() => taken && locks.delete(path))
      ),
    probe: (path) => Effect.sync(() => (locks.has(path) ? "held" : "free")),
    sha256: (bytes) =>
      Effect.map(
        Effect.promise(() => crypto.subtle.digest("SHA-256", bytes)),
        (digest) => hex(new Uint8Array(digest))
      ),
    deflate: (bytes) => Effect.sync(() => stored(bytes)),
    compress: (bytes) => Effect.succeed(bytes),
    decompress: (bytes, length) => Effect.succeed(bytes.length === length ? bytes : undefined),
    randomHex: (bytes) => Effect.sync(() => hex(crypto.getRandomValues(new Uint8Array(bytes)))),
    origin: Effect.succeed({}),
    host: options.host ?? { name: "memory", boot: "", pid: 0 },
    isLocal: () => Effect.succeed(options.isLocal ?? true)
  }
  return { storage, files, locks }
}

/** Longest block that is stored as it is (RFC 1951, 3.2.4). */
const storedMax = 65_535

/** A stream of zlib (RFC 1950) whose blocks are not compressed. */
const stored = (bytes: Uint8Array): Uint8Array => {
  const blocks = Math.max(1, Math.ceil(bytes.length / storedMax))
  const out = new Uint8Array(2 + 5 * blocks + bytes.length + 4)
  const view = new DataView(out.buffer)
  view.setUint16(0, 0x7801)
  let to = 2
  for (let i = 0; i < blocks; i++, to += 5) {
    const block = bytes.subarray(i * storedMax, (i + 1) * storedMax)
    out[to] = i === blocks - 1 ? 1 : 0
    view.setUint16(to + 1, block.length, true)
    view.setUint16(to + 3, ~block.length & 0xffff, true)
    out.set(block, to + 5)
    to += block.length
  }
  let a = 1
  let b = 0
  for (const byte of bytes) {
    a = (a + byte) % 65_521
    b = (b + a) % 65_521
  }
  view.setUint32(to, b * 65_536 + a)
  return out
}

const parent = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

const failure = (operation: string, path: string, code: string, reason: string): StorageError =>
  new StorageError({ operation, path, code, message: `could not ${operation} ${path}: ${reason} (${code})` })

const refuseLock = (operation: string, path: string) => {
  if (path.endsWith(".lock")) throw failure(operation, path, "EPERM", "lock files are for lock and probe only")
}

const attempt = <A>(evaluate: () => A): Effect.Effect<A, StorageError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return error instanceof StorageError ? Effect.fail(error) : Effect.die(error)
    }
  })
