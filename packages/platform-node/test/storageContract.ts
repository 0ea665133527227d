/**
 * What every `JournalStorage` must do, in memory or on a disk. Locks between processes are `locks.test.ts`'s.
 */
import { assert, describe, it } from "@effect/vitest"
import { JournalStorage } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { inflateSync } from "node:zlib"

const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)

/** `folder` is one that the storage may make, and is empty whenever a test starts. */
export const suite = (
  name: string,
  layer: Layer.Layer<JournalStorage>,
  folder: Effect.Effect<string, never, Scope.Scope>
) => {
  /** The storage and a folder in it that is there. */
  const open = Effect.gen(function* () {
    const storage = yield* JournalStorage
    const root = storage.join(yield* folder, "runs")
    yield* storage.makeFolder(root)
    return { storage, root, path: storage.join(root, "file") }
  })
  const test = <A, E>(title: string, body: () => Effect.Effect<A, E, JournalStorage | Scope.Scope>) =>
    it.effect(title, () => Effect.scoped(Effect.suspend(body)).pipe(Effect.provide(layer)))

  describe(name, () => {
    describe("folders", () => {
      test("makes a folder with its parents, and again when it is there", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          const deep = storage.join(root, "a", "b", "c")
          yield* storage.makeFolder(deep)
          yield* storage.makeFolder(deep)
          assert.deepStrictEqual(yield* storage.list(root), ["a"])
          assert.deepStrictEqual(yield* storage.list(deep), [])
        }))

      test("lists names of files and folders, none of what lies deeper", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          yield* storage.makeFolder(storage.join(root, "folder"))
          yield* storage.append(storage.join(root, "folder", "deep"), bytes(1))
          yield* storage.append(storage.join(root, "file"), bytes(1))
          assert.deepStrictEqual([...(yield* storage.list(root))].toSorted(), ["file", "folder"])
        }))

      test("lists nothing where there is no folder", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          assert.deepStrictEqual(yield* storage.list(storage.join(root, "nowhere")), [])
        }))

      test("refuses a folder in the place of a file", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          yield* storage.append(path, bytes(1))
          assert.strictEqual((yield* Effect.flip(storage.makeFolder(path))).code, "EEXIST")
        }))

      test("refuses files in a folder that is not there", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          const path = storage.join(root, "nowhere", "file")
          const errors = [
            yield* Effect.flip(storage.append(path, bytes(1))),
            yield* Effect.flip(storage.replace(path, bytes(1), { sync: false })),
            yield* Effect.flip(storage.openAppend(path)),
            yield* Effect.flip(storage.lock(`${path}.lock`)),
            yield* Effect.flip(storage.syncFolder(storage.join(root, "nowhere")))
          ]
          assert.deepStrictEqual(
            errors.map(({ code }) => code),
            Array.from(errors, () => "ENOENT")
          )
          assert.deepStrictEqual(yield* storage.list(root), [])
        }))

      test("syncs a folder", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          yield* storage.syncFolder(root)
        }))
    })

    describe("whole files", () => {
      test("reads undefined where there is none", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          assert.isUndefined(yield* storage.read(path))
        }))

      for (const sync of [false, true]) {
        test(`replaces a file and leaves nothing else, sync ${sync}`, () =>
          Effect.gen(function* () {
            const { storage, root, path } = yield* open
            yield* storage.replace(path, bytes(1, 2, 3), { sync })
            assert.deepStrictEqual(yield* storage.read(path), bytes(1, 2, 3))
            yield* storage.replace(path, bytes(), { sync })
            assert.deepStrictEqual(yield* storage.read(path), bytes())
            assert.deepStrictEqual(yield* storage.list(root), ["file"])
          }))
      }

      test("keeps what it was given, not the buffer it came in", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          const given = bytes(1, 2)
          yield* storage.replace(path, given, { sync: false })
          given[0] = 9
          const got = yield* storage.read(path)
          assert.deepStrictEqual(got, bytes(1, 2))
          got?.fill(7)
          assert.deepStrictEqual(yield* storage.read(path), bytes(1, 2))
        }))

      test("reads into a buffer of its own", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          yield* storage.replace(path, bytes(1, 2, 3), { sync: false })
          const got = yield* storage.read(path)
          assert.deepStrictEqual([got?.byteOffset, got?.buffer.byteLength], [0, 3])
        }))

      test("replaces and reads what is cut into pieces", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          const large = Uint8Array.from({ length: 2_500_001 }, (_, i) => (i * 7) % 251)
          yield* storage.replace(path, large, { sync: false })
          const got = yield* storage.read(path)
          assert.isTrue(Buffer.from(large).equals(got ?? bytes()))
        }))

      test("appends behind what is there", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          yield* storage.append(path, bytes(1))
          yield* storage.append(path, bytes(2, 3))
          assert.deepStrictEqual(yield* storage.read(path), bytes(1, 2, 3))
        }))

      test("renames a file over another, and no lock", () =>
        Effect.gen(function* () {
          const { storage, root, path } = yield* open
          const to = storage.join(root, "to")
          yield* storage.replace(path, bytes(1, 2), { sync: false })
          yield* storage.replace(to, bytes(9), { sync: false })
          yield* storage.rename(path, to)
          assert.deepStrictEqual(yield* storage.list(root), ["to"])
          assert.deepStrictEqual(yield* storage.read(to), bytes(1, 2))
          assert.strictEqual((yield* Effect.flip(storage.rename(path, to))).code, "ENOENT")
          const lock = storage.join(root, "w.lock")
          assert.strictEqual((yield* Effect.flip(storage.rename(lock, to))).code, "EPERM")
        }))

      test("removes a file, and again when it is gone", () =>
        Effect.gen(function* () {
          const { storage, root, path } = yield* open
          yield* storage.append(path, bytes(1))
          yield* storage.remove(path)
          yield* storage.remove(path)
          assert.deepStrictEqual(yield* storage.list(root), [])
        }))
    })

    describe("files of a user's", () => {
      test("finds a file by its name, and all files of a folder by where they lie in it", () =>
        Effect.gen(function* () {
          const { storage, root, path } = yield* open
          yield* storage.replace(path, bytes(1), { sync: false })
          yield* storage.makeFolder(storage.join(root, "deep", "er"))
          yield* storage.replace(storage.join(root, "deep", "er", "b"), bytes(2), { sync: false })
          yield* storage.replace(storage.join(root, "deep", "a"), bytes(3), { sync: false })
          const file = yield* storage.userFiles(path, 1)
          assert.deepStrictEqual(
            [file.name, file.isFolder, file.files.map((each) => each.path)],
            ["file", false, ["file"]]
          )
          const all = yield* storage.userFiles(root, 10)
          assert.deepStrictEqual([all.name, all.isFolder, all.left], ["runs", true, []])
          assert.deepStrictEqual(
            all.files.map((each) => each.path),
            ["deep/a", "deep/er/b", "file"]
          )
          assert.strictEqual((yield* Effect.flip(storage.userFiles(storage.join(root, "no"), 1))).code, "ENOENT")
        }))

      test("lists no more files than it may, and the others as left out", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          for (const each of ["a", "b", "c"]) {
            yield* storage.replace(storage.join(root, each), bytes(1), { sync: false })
          }
          const { files, left } = yield* storage.userFiles(root, 2)
          assert.deepStrictEqual([files.length, left.length], [2, 1])
          assert.include(left[0]?.reason, "2 files")
        }))

      test("keeps a copy under its digest, once, and none that is too large (J6.3)", () =>
        Effect.gen(function* () {
          const { storage, root, path } = yield* open
          const blobs = storage.join(root, "blobs")
          yield* storage.makeFolder(blobs)
          const large = Uint8Array.from({ length: 2_500_001 }, (_, i) => (i * 7) % 251)
          yield* storage.replace(path, large, { sync: false })
          const kept = yield* storage.keepFile(path, blobs, large.length)
          assert.deepStrictEqual(kept, { sha256: yield* storage.sha256(large), bytes: large.length, isChanged: false })
          yield* storage.keepFile(path, blobs, large.length)
          assert.deepStrictEqual(yield* storage.list(blobs), [kept.sha256])
          const copy = yield* storage.read(storage.join(blobs, kept.sha256))
          assert.isTrue(Buffer.from(large).equals(copy ?? bytes()))
          assert.strictEqual((yield* Effect.flip(storage.keepFile(path, blobs, large.length - 1))).code, "EFBIG")
          assert.strictEqual((yield* Effect.flip(storage.keepFile(`${path}.no`, blobs, 1))).code, "ENOENT")
          assert.deepStrictEqual(yield* storage.list(blobs), [kept.sha256])
        }))

      test("deflates what any zlib inflates", () =>
        Effect.gen(function* () {
          const { storage } = yield* open
          for (const length of [0, 1, 65_535, 65_536, 200_000]) {
            const given = Uint8Array.from({ length }, (_, i) => (i * i) % 253)
            assert.isTrue(inflateSync(yield* storage.deflate(given)).equals(given))
          }
        }))
    })

    describe("shortening", () => {
      test("cuts a file, and leaves one that is shorter or not there as it is", () =>
        Effect.gen(function* () {
          const { storage, root, path } = yield* open
          yield* storage.append(path, bytes(1, 2, 3))
          yield* storage.shorten(path, 5)
          assert.deepStrictEqual(yield* storage.read(path), bytes(1, 2, 3))
          yield* storage.shorten(path, 2)
          assert.deepStrictEqual(yield* storage.read(path), bytes(1, 2))
          yield* storage.shorten(storage.join(root, "nowhere"), 2)
          assert.deepStrictEqual(yield* storage.list(root), ["file"])
        }))
    })

    describe("segments", () => {
      test("appends vectors in order, empty ones and more than one call may take among them", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          const file = yield* storage.openAppend(path)
          yield* file.append([])
          yield* file.append([bytes(), bytes(1, 2), bytes(), bytes(3)])
          yield* file.append(Array.from({ length: 3_000 }, (_, i) => bytes(i % 256, 7)))
          yield* file.sync
          const expected = [1, 2, 3, ...Array.from({ length: 3_000 }, (_, i) => [i % 256, 7]).flat()]
          assert.deepStrictEqual(yield* storage.read(path), Uint8Array.from(expected))
        }))

      test("never reopens a segment (J2.3)", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          yield* Effect.scoped(Effect.flatMap(storage.openAppend(path), (file) => file.append([bytes(1)])))
          assert.strictEqual((yield* Effect.flip(storage.openAppend(path))).code, "EEXIST")
          assert.deepStrictEqual(yield* storage.read(path), bytes(1))
        }))

      test("shows a reader what is appended while it has the file open", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          const file = yield* storage.openAppend(path)
          const reader = yield* storage.openRead(path)
          const buffer = new Uint8Array(4)
          assert.strictEqual(yield* reader.readInto(0, buffer), 0)
          yield* file.append([bytes(1, 2, 3, 4, 5)])
          assert.strictEqual(yield* reader.size, 5)
          assert.strictEqual(yield* reader.readInto(0, buffer), 4)
          assert.deepStrictEqual(buffer, bytes(1, 2, 3, 4))
          assert.strictEqual(yield* reader.readInto(3, buffer), 2)
          assert.deepStrictEqual(buffer, bytes(4, 5, 3, 4))
          assert.strictEqual(yield* reader.readInto(100, buffer), 0)
        }))

      test("lets a reader go on with a file that was removed", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          yield* storage.append(path, bytes(1, 2))
          const reader = yield* storage.openRead(path)
          yield* storage.remove(path)
          assert.strictEqual(yield* reader.readInto(0, new Uint8Array(4)), 2)
        }))

      test("fails to open what is not there", () =>
        Effect.gen(function* () {
          const { storage, path } = yield* open
          const error = yield* Effect.flip(storage.openRead(path))
          assert.strictEqual(error.code, "ENOENT")
          assert.include(error.message, path)
        }))
    })

    describe("locks", () => {
      test("holds a lock until its scope closes; the file stays, empty and alone (J8.1)", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          const path = storage.join(root, "w.lock")
          assert.strictEqual(yield* storage.probe(path), "free")
          const scope = yield* Scope.make()
          assert.isTrue(yield* Scope.provide(storage.lock(path), scope))
          assert.strictEqual(yield* storage.probe(path), "held")
          assert.deepStrictEqual(yield* storage.list(root), ["w.lock"])
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(yield* storage.probe(path), "free")
          assert.deepStrictEqual(yield* storage.list(root), ["w.lock"])
        }))

      test("gives a lock once, and again when it was given back", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          const path = storage.join(root, "delivery.lock")
          const scope = yield* Scope.make()
          assert.isTrue(yield* Scope.provide(storage.lock(path), scope))
          assert.isFalse(yield* Effect.scoped(storage.lock(path)))
          assert.strictEqual(yield* storage.probe(path), "held")
          yield* Scope.close(scope, Exit.void)
          assert.isTrue(yield* storage.lock(path))
        }))

      test("gives a lock to one of many who ask at once", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          const path = storage.join(root, "delivery.lock")
          const answers = yield* Effect.forEach(Array(8), () => storage.lock(path), { concurrency: "unbounded" })
          assert.strictEqual(answers.filter((taken) => taken).length, 1)
        }))

      test("opens a lock for nothing else", () =>
        Effect.gen(function* () {
          const { storage, root } = yield* open
          const path = storage.join(root, "w.lock")
          assert.isTrue(yield* storage.lock(path))
          const errors = [
            yield* Effect.flip(storage.read(path)),
            yield* Effect.flip(storage.append(path, bytes(1))),
            yield* Effect.flip(storage.replace(path, bytes(1), { sync: false })),
            yield* Effect.flip(storage.openRead(path)),
            yield* Effect.flip(storage.openAppend(path))
          ]
          assert.deepStrictEqual(
            errors.map(({ code }) => code),
            Array.from(errors, () => "EPERM")
          )
          assert.strictEqual(yield* storage.probe(path), "held")
        }))
    })

    describe("names and digests", () => {
      test("digests with SHA-256", () =>
        Effect.gen(function* () {
          const { storage } = yield* open
          const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
          assert.strictEqual(yield* storage.sha256(bytes()), empty)
          // FIPS 180-4's example of a million times "a", and one more than is done in one go.
          const a = new Uint8Array(1_000_000).fill(97)
          const digest = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
          assert.strictEqual(yield* storage.sha256(a), digest)
          const zeros = "2cb74edba754a81d121c9db6833704a8e7d417e5b13d1a19f4a52f007d644264"
          assert.strictEqual(yield* storage.sha256(new Uint8Array(1_048_577)), zeros)
        }))

      test("gives back what it compressed, and nothing of what is damaged or of another length", () =>
        Effect.gen(function* () {
          const { storage } = yield* open
          const plain = Uint8Array.from({ length: 70_000 }, (_, i) => i >> 8)
          for (const one of [plain, bytes(7), bytes()]) {
            const stored = yield* storage.compress(one)
            assert.deepStrictEqual(Uint8Array.from((yield* storage.decompress(stored, one.length)) ?? [0]), one)
            assert.isUndefined(yield* storage.decompress(stored, one.length + 1))
            if (stored.length > 0) assert.isUndefined(yield* storage.decompress(stored.subarray(0, -1), one.length))
            if (one.length > 1) assert.isUndefined(yield* storage.decompress(stored, one.length - 1))
          }
        }))

      test("makes names that differ, in lower-case hexadecimal", () =>
        Effect.gen(function* () {
          const { storage } = yield* open
          const [a, b] = [yield* storage.randomHex(16), yield* storage.randomHex(16)]
          assert.match(a, /^[0-9a-f]{32}$/)
          assert.notStrictEqual(a, b)
        }))
    })
  })
}
