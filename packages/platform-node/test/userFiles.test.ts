/** Files of a user's on a disk: what is no plain file, what lies elsewhere, what changes while it is copied. */
import { assert, describe, it } from "@effect/vitest"
import { JournalStorage } from "@tracelet/core/JournalStorage"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { appendFile } from "node:fs/promises"
import { join } from "node:path"
import * as NodePlatform from "../src/NodePlatform.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const test = (
  title: string,
  body: (folder: string, storage: JournalStorage["Service"]) => Effect.Effect<void, unknown>
) =>
  it.live(title, () =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* body(yield* temporaryFolder, yield* JournalStorage)
      })
    ).pipe(Effect.provide(NodePlatform.layer))
  )

describe("A folder of a user's", () => {
  test("is followed by links to files inside of it, and never out of it (J6.4)", (folder, storage) =>
    Effect.gen(function* () {
      const inside = join(folder, "inside")
      mkdirSync(join(inside, "deep"), { recursive: true })
      writeFileSync(join(folder, "secret"), "s")
      writeFileSync(join(inside, "deep", "plain"), "p")
      symlinkSync(join("deep", "plain"), join(inside, "good"))
      symlinkSync(join("..", "secret"), join(inside, "out"))
      symlinkSync(inside, join(inside, "round"))
      symlinkSync("nowhere", join(inside, "broken"))
      const { files, left } = yield* storage.userFiles(inside, 10)
      assert.deepStrictEqual(
        files.map(({ path }) => path),
        ["deep/plain", "good"]
      )
      assert.deepStrictEqual(
        left.map(({ path }) => path),
        ["broken", "out", "round"]
      )
    }))

  test("is not waited for where it holds a pipe, nor is a pipe (J6.4)", (folder, storage) =>
    Effect.gen(function* () {
      execFileSync("sh", ["-c", 'mkfifo "$0"', join(folder, "pipe")])
      const { files, left } = yield* storage.userFiles(folder, 10)
      assert.deepStrictEqual([files.length, left[0]?.path, left[0]?.reason], [0, "pipe", "it is no plain file"])
      assert.strictEqual((yield* Effect.flip(storage.userFiles(join(folder, "pipe"), 10))).code, "EINVAL")
      assert.strictEqual((yield* Effect.flip(storage.keepFile(join(folder, "pipe"), folder, 10))).code, "EINVAL")
    }))
})

describe("A copy of a user's file", () => {
  test("belongs to the user alone and leaves nothing else (J1.4)", (folder, storage) =>
    Effect.gen(function* () {
      const source = join(folder, "source")
      writeFileSync(source, "x")
      chmodSync(source, 0o444)
      const blobs = join(folder, "blobs")
      const { sha256 } = yield* storage.keepFile(source, blobs, 10)
      assert.deepStrictEqual(readdirSync(blobs), [sha256])
      assert.strictEqual(statSync(join(blobs, sha256)).mode & 0o777, 0o600)
    }))

  test("takes the place of what a power cut left of it (J6.3)", (folder, storage) =>
    Effect.gen(function* () {
      const source = join(folder, "source")
      writeFileSync(source, "whole")
      const blobs = join(folder, "blobs")
      const { sha256 } = yield* storage.keepFile(source, blobs, 10)
      writeFileSync(join(blobs, sha256), "")
      yield* storage.keepFile(source, blobs, 10)
      assert.strictEqual(statSync(join(blobs, sha256)).size, 5)
    }))

  test("is one of what there was, and says so when the file was written meanwhile (J6.4)", (folder, storage) =>
    Effect.gen(function* () {
      const source = join(folder, "source")
      writeFileSync(source, new Uint8Array(16 * 1024 * 1024))
      const over = new AbortController()
      const grow = async () => {
        while (!over.signal.aborted) await appendFile(source, "more")
      }
      const growing = grow()
      const { sha256, bytes, isChanged } = yield* storage.keepFile(source, join(folder, "blobs"), 2 ** 40)
      over.abort()
      yield* Effect.promise(() => growing)
      assert.isTrue(isChanged)
      const kept = yield* storage.read(join(folder, "blobs", sha256))
      assert.strictEqual(kept?.length, bytes)
      assert.strictEqual(kept === undefined ? "" : yield* storage.sha256(kept), sha256)
    }))
})
