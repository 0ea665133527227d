import { assert, describe, it } from "@effect/vitest"
import * as Folder from "@tracelet/platform-node/Folder"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "./temporaryFolder.ts"

describe("resolve (J1.3)", () => {
  /** Makes `folders` and `files` in a new folder and resolves from `from`; the answer is relative to it. */
  const resolved = Effect.fnUntraced(function* (
    from: string,
    there: { readonly folders?: ReadonlyArray<string>; readonly files?: ReadonlyArray<string> },
    env: { readonly [key: string]: string } = {}
  ) {
    const root = yield* temporaryFolder
    for (const folder of [from, ...(there.folders ?? [])]) mkdirSync(join(root, folder), { recursive: true })
    for (const file of there.files ?? []) writeFileSync(join(root, file), "")
    const home = env["HOME"]
    const folder = yield* Folder.resolve(
      join(root, from),
      home === undefined ? env : { ...env, HOME: join(root, home) }
    )
    return folder.startsWith(`${root}/`) ? folder.slice(root.length + 1) : folder
  })

  it.effect("is TRACELET_DIR before all else", () =>
    Effect.gen(function* () {
      const there = { folders: ["a/.tracelet"] }
      assert.strictEqual(yield* resolved("a", there, { TRACELET_DIR: "/data/runs/" }), "/data/runs")
      assert.strictEqual(yield* resolved("a", there, { TRACELET_DIR: "../other" }), "other")
      assert.strictEqual(yield* resolved("a", there, { TRACELET_DIR: "" }), "a/.tracelet")
    })
  )

  it.effect("is the nearest .tracelet upwards, past a .git", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* resolved("a/b/c", { folders: ["a/.tracelet", ".tracelet", "a/b/.git"] }), "a/.tracelet")
      assert.strictEqual(yield* resolved("a", { folders: ["a/.tracelet", ".tracelet"] }), "a/.tracelet")
    })
  )

  it.effect("is not that of the home folder, where plugins lie, unless one works there", () =>
    Effect.gen(function* () {
      const there = { folders: ["a/.tracelet", "a/b/.git"] }
      assert.strictEqual(yield* resolved("a/b/c", there, { HOME: "elsewhere" }), "a/.tracelet")
      assert.strictEqual(yield* resolved("a/b/c", there, { HOME: "a" }), "a/b/.tracelet")
      assert.strictEqual(yield* resolved("a", there, { HOME: "a" }), "a/.tracelet")
    })
  )

  it.effect("is beside the nearest .git when there is none, a worktree's file too", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* resolved("a/b/c", { folders: ["a/.git", ".git"] }), "a/.tracelet")
      assert.strictEqual(yield* resolved("a/b", { files: ["a/.git"] }), "a/.tracelet")
    })
  )

  it.effect("is in the working directory when there is neither, and a file of that name is none", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* resolved("a/b", {}), "a/b/.tracelet")
      assert.strictEqual(yield* resolved("a/b", { files: ["a/.tracelet"] }), "a/b/.tracelet")
    })
  )
})

describe("prepare (J1.4)", () => {
  it.effect("makes the folder for the user alone, and keeps it out of git", () =>
    Effect.gen(function* () {
      const folder = join(yield* temporaryFolder, "a", ".tracelet")
      yield* Folder.prepare(folder)
      assert.deepStrictEqual(readdirSync(folder), [".gitignore"])
      assert.strictEqual(readFileSync(join(folder, ".gitignore"), "utf8"), "*\n")
      assert.strictEqual(statSync(folder).mode & 0o777, 0o700)
    })
  )

  it.effect("leaves a folder that is there as it is", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* Folder.prepare(folder)
      assert.deepStrictEqual(readdirSync(folder), [])
    })
  )

  it.effect("says why it cannot", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "file")
      writeFileSync(file, "")
      const error = yield* Effect.flip(Folder.prepare(join(file, ".tracelet")))
      assert.match(error.message, /^could not make the folder .*: not a directory \(ENOTDIR\)$/)
    })
  )
})
