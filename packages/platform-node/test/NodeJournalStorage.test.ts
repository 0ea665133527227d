/**
 * What only a disk does: modes, full disks, limits, a folder without rights, syncs that are given up.
 */
import { assert, describe, it } from "@effect/vitest"
import { JournalStorage } from "@tracelet/core/JournalStorage"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { canMount, isRoot, runs } from "./machine.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const test = <A, E>(
  name: string,
  isPossible: boolean,
  body: (root: string, storage: JournalStorage["Service"]) => Effect.Effect<A, E, Scope.Scope>
) =>
  it.live.skipIf(!isPossible)(name, () =>
    Effect.flatMap(temporaryFolder, (root) => JournalStorage.use((storage) => body(root, storage))).pipe(
      Effect.provide(NodePlatform.layer)
    )
  )

/** A file system of one's own, of so many bytes. */
const small = (folder: string, bytes: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      mkdirSync(folder)
      assert.isTrue(runs("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tracelet", folder))
    }),
    () => Effect.sync(() => runs("umount", folder))
  )

const filled = (length: number, value: number) => new Uint8Array(length).fill(value)

describe("a folder that cannot be made", () => {
  test(
    "is refused at once below /proc and behind a link that leads nowhere",
    process.platform === "linux",
    (root, storage) =>
      Effect.gen(function* () {
        symlinkSync(join(root, "gone", "deeper"), join(root, "link"))
        for (const folder of ["/proc/none/.tracelet/runs", join(root, "link", ".tracelet", "runs")]) {
          const error = yield* Effect.flip(storage.makeFolder(folder)).pipe(Effect.timeout("5 seconds"))
          assert.include(["ENOENT", "EACCES", "EEXIST"], error._tag === "StorageError" ? error.code : "")
        }
        yield* storage.makeFolder(join(root, "a", "b", "c"))
        yield* storage.makeFolder(join(root, "a", "b", "c"))
        assert.isTrue(statSync(join(root, "a", "b", "c")).isDirectory())
      })
  )
})

describe("modes", () => {
  test("are the user's alone (J1.4)", process.platform !== "win32", (root, storage) =>
    Effect.gen(function* () {
      const folder = join(root, "a", "b")
      yield* storage.makeFolder(folder)
      yield* storage.replace(join(folder, "replaced"), filled(1, 1), { sync: true })
      yield* storage.append(join(folder, "appended"), filled(1, 1))
      yield* storage.openAppend(join(folder, "opened"))
      yield* storage.lock(join(folder, "w.lock"))
      const modes = [join(root, "a"), folder, ...readdirSync(folder).map((name) => join(folder, name))].map((path) =>
        (statSync(path).mode & 0o777).toString(8)
      )
      assert.deepStrictEqual(modes, ["700", "700", "600", "600", "600", "600"])
    })
  )
})

describe("a full disk", () => {
  test("fails an append, which may be tried again when there is room (root, mount)", canMount, (root, storage) =>
    Effect.gen(function* () {
      const disk = join(root, "disk")
      yield* small(disk, 131_072)
      const other = join(disk, "other")
      yield* storage.append(other, filled(40_960, 9))
      const file = yield* storage.openAppend(join(disk, "segment"))
      yield* file.append([filled(61_440, 1)])
      const vectors = [filled(8_192, 2), filled(32_768, 3), filled(16_384, 4)]
      const error = yield* Effect.flip(file.append(vectors))
      assert.strictEqual(error.code, "ENOSPC")
      assert.match(
        error.message,
        /^could not append to .*segment: no space left on device \(ENOSPC\); the disk is full: free/
      )
      yield* storage.remove(other)
      yield* file.append(vectors)
      yield* file.sync
      const expected = Buffer.concat([filled(61_440, 1), ...vectors])
      assert.isTrue(expected.equals((yield* storage.read(join(disk, "segment"))) ?? filled(0, 0)))
    })
  )

  test("leaves the old bytes of what it cannot replace, and no other file (root, mount)", canMount, (root, storage) =>
    Effect.gen(function* () {
      const disk = join(root, "disk")
      yield* small(disk, 65_536)
      yield* storage.replace(join(disk, "cursor"), filled(4, 1), { sync: true })
      const error = yield* Effect.flip(storage.replace(join(disk, "cursor"), filled(100_000, 2), { sync: true }))
      assert.strictEqual(error.code, "ENOSPC")
      assert.deepStrictEqual(readdirSync(disk), ["cursor"])
      assert.deepStrictEqual(yield* storage.read(join(disk, "cursor")), filled(4, 1))
    })
  )

  test("can still be locked (root, mount)", canMount, (root, storage) =>
    Effect.gen(function* () {
      const disk = join(root, "disk")
      yield* small(disk, 65_536)
      yield* Effect.flip(storage.append(join(disk, "all"), filled(100_000, 2)))
      assert.isTrue(yield* storage.lock(join(disk, "w.lock")))
    })
  )
})

describe("a disk that is mounted read-only", () => {
  test("is said to be, and its locks are unknown (root, mount)", canMount, (root, storage) =>
    Effect.gen(function* () {
      const disk = join(root, "disk")
      yield* small(disk, 65_536)
      writeFileSync(join(disk, "w.lock"), "")
      assert.isTrue(runs("mount", "-o", "remount,ro", disk))
      const errors = [
        yield* Effect.flip(storage.openAppend(join(disk, "segment"))),
        yield* Effect.flip(storage.replace(join(disk, "cursor"), filled(1, 1), { sync: false })),
        yield* Effect.flip(storage.lock(join(disk, "w.lock"))),
        yield* Effect.flip(storage.lock(join(disk, "new.lock")))
      ]
      for (const { message } of errors)
        assert.match(message, /\(EROFS\); the disk is mounted read-only: set TRACELET_DIR/)
      assert.strictEqual(yield* storage.probe(join(disk, "w.lock")), "unknown")
    })
  )
})

describe("what the user may not do", () => {
  test("is said with what to do (not root)", !isRoot, (root, storage) =>
    Effect.gen(function* () {
      mkdirSync(join(root, "closed"), { mode: 0o500 })
      const error = yield* Effect.flip(storage.openAppend(join(root, "closed", "segment")))
      assert.match(error.message, /permission denied \(EACCES\); check who owns it/)
    })
  )
})

describe("a sync that is given up", () => {
  test(
    "lets the scope close at once, and the descriptor a little later",
    process.platform === "linux",
    (root, storage) =>
      Effect.gen(function* () {
        const path = join(root, "segment")
        for (let i = 0; i < 20; i++) {
          const syncing = yield* Effect.forkChild(
            Effect.scoped(
              Effect.flatMap(storage.openAppend(`${path}${i}`), (file) =>
                Effect.andThen(file.append([filled(1_000_000, i)]), file.sync)
              )
            ),
            { startImmediately: true }
          )
          yield* Fiber.interrupt(syncing)
        }
        yield* Effect.sleep(500)
        const stillOpen = readdirSync("/proc/self/fd").filter((descriptor) => pathOf(descriptor).startsWith(path))
        assert.deepStrictEqual(stillOpen, [])
      })
  )

  test("does not hold the event loop while the disk works", true, (root, storage) =>
    Effect.gen(function* () {
      const file = yield* storage.openAppend(join(root, "segment"))
      yield* file.append([filled(16_777_216, 1)])
      let isTurning = false
      setImmediate(() => (isTurning = true))
      yield* file.sync
      assert.isTrue(isTurning)
    })
  )
})

const pathOf = (descriptor: string): string => {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return ""
  }
}
