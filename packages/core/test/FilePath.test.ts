/** Where files lie inside an artifact, and an artifact among the others of its run. */
import { assert, describe, it } from "@effect/vitest"
import { FilePath, problem } from "@tracelet/core/FilePath"
import { placeOf } from "@tracelet/core/RunEvent"
import * as Schema from "effect/Schema"

const decode = Schema.is(FilePath)

describe("A path inside an artifact", () => {
  it.each(["a", "a/b.bin", "..a", "a..", "a b/ü.txt", ".hidden/x", "x".repeat(4_096)])("may be %j (J5.15)", (path) => {
    assert.isUndefined(problem(path))
    assert.isTrue(decode(path))
  })

  it.each(["", "/a", "a/", "a//b", ".", "./a", "..", "../a", "a/../b", "a\\b", "C:\\x", "a\0b", "a\nb", "\ud800"])(
    "may not be %j (J5.15)",
    (path) => {
      assert.isString(problem(path))
      assert.isFalse(decode(path))
    }
  )

  it("has at most 4,096 bytes of UTF-8 (J5.15)", () => {
    assert.isString(problem("x".repeat(4_097)))
    assert.isString(problem("ü".repeat(2_049)))
    assert.isUndefined(problem("ü".repeat(2_048)))
  })
})

describe("An artifact among the others of its run (J5.15)", () => {
  const files = (...paths: ReadonlyArray<string>) => paths.map((path) => ({ path, digest: "", bytes: 0 }))

  it("has its only file in its own place when it is named after it", () => {
    assert.strictEqual(placeOf({ name: "model.pt", files: files("model.pt") }, "model.pt"), "model.pt")
    assert.strictEqual(placeOf({ name: "models/model.pt", files: files("model.pt") }, "model.pt"), "models/model.pt")
  })

  it("has its files in a folder of its name otherwise", () => {
    assert.strictEqual(placeOf({ name: "best", files: files("model.pt") }, "model.pt"), "best/model.pt")
    assert.strictEqual(placeOf({ name: "a", files: files("a", "b") }, "a"), "a/a")
    assert.strictEqual(placeOf({ name: "mymodel.pt", files: files("model.pt") }, "model.pt"), "mymodel.pt/model.pt")
  })
})
