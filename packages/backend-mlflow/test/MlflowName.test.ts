import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as MlflowName from "@tracelet/backend-mlflow/MlflowName"

/** What a server of 3.18.0 takes, as its `_validate_*_name` and `path_not_unique` have it. */
const isLegal = (name: string): boolean =>
  /^[/_.:\- \p{L}\p{N}]+$/u.test(name) &&
  [...name].length <= 250 &&
  !name.startsWith("/") &&
  !name.startsWith("..") &&
  name.split("/").every((part) => part !== "" && part !== "." && part !== "..")

/** Texts made of what is likely to go wrong. */
const pieces = [
  "_",
  "x",
  "4",
  "0",
  "a",
  "@",
  "/",
  ".",
  " ",
  "_x40_",
  "é",
  "損",
  "\u{1F600}",
  "\u0000",
  "-1",
  "true",
  "subset",
  "rank",
  "=",
  "\u0301"
]
const Text = Schema.Array(Schema.Literals(pieces)).check(Schema.isMaxLength(8))
const text = (parts: ReadonlyArray<string>): string => parts.join("")
const Context = Schema.Array(
  Schema.Tuple([Text, Schema.Union([Text, Schema.Int, Schema.Finite, Schema.Boolean])])
).check(Schema.isMaxLength(3))

describe("MlflowName", () => {
  it.each([
    ["loss", "loss"],
    ["val/acc", "val/acc"],
    ["hits@10", "hits_x40_10"],
    ["損失 1", "損失 1"],
    ["/a//b/", "_x2f_a/_x2f_b_x2f_"],
    ["..", "_x2e_."],
    ["a/../b", "a/_x2e_./b"],
    ["a\u0000", "a_x00_"],
    ["_x40_", "_x5f_x40_"],
    ["fc_x1", "fc_x1"]
  ])("writes %j as %j", (name, encoded) => {
    assert.strictEqual(MlflowName.encode(name), encoded)
  })

  it.effect.prop("makes every text a legal name, and reads it back", [Text], ([parts]) =>
    Effect.sync(() => {
      const encoded = MlflowName.encode(text(parts))
      assert.isTrue(isLegal(encoded), encoded)
      assert.strictEqual(MlflowName.decode(encoded), text(parts))
    })
  )

  it.each([
    [{ name: "loss", context: {} }, "loss"],
    [{ name: "loss", context: { subset: "val" } }, "val / loss"],
    [{ name: "loss", context: { rank: 3 } }, "rank_3 / loss"],
    [{ name: "loss", context: { rank: "3" } }, "rank__x33_ / loss"],
    [{ name: "loss", context: { subset: "val", fold: 2 } }, "fold_2/val / loss"],
    [{ name: "a / b", context: {} }, "a_x20_/ b"],
    [{ name: "loss", context: { subset: "rank_3" } }, "subset_rank_3 / loss"]
  ])("writes the series %j as %j", (series, key) => {
    assert.strictEqual(MlflowName.ofSeries(series), key)
  })

  it.effect.prop("gives every series a legal key of its own, and reads it back", [Text, Context], ([parts, entries]) =>
    Effect.sync(() => {
      const context = Object.fromEntries(
        entries.map(([name, value]) => [text(name), typeof value === "object" ? text(value) : value === 0 ? 0 : value])
      )
      const series = { name: text(parts), context }
      const key = MlflowName.ofSeries(series)
      assert.isTrue(isLegal(MlflowName.fit(key)), key)
      const back = MlflowName.toSeries(key)
      assert.strictEqual(back.name, series.name)
      assert.deepStrictEqual(new Map(Object.entries(back.context)), new Map(Object.entries(context)))
    })
  )

  it("cuts what is too long, and keeps apart what begins alike", () => {
    const [one, other] = ["a", "b"].map((end) => MlflowName.key(`${"long/".repeat(80)}${end}`))
    assert.isTrue(isLegal(one ?? "") && isLegal(other ?? ""))
    assert.strictEqual(one?.length, 250)
    assert.notStrictEqual(one, other)
    assert.strictEqual(MlflowName.key("ä".repeat(250)), "ä".repeat(250))
  })

  it("keeps the parts of a path short enough for file systems, with their extension", () => {
    const path = MlflowName.path(`models/${"損".repeat(100)}.ckpt`)
    assert.isTrue(path.endsWith(".ckpt"))
    assert.isTrue(path.split("/").every((part) => Buffer.byteLength(part) <= 160))
    assert.strictEqual(MlflowName.path("50%/#1.txt"), "50_x25_/_x23_1.txt")
    assert.strictEqual(MlflowName.path("/../a//b"), "_x2f__x2e_./a/_x2f_b")
    assert.strictEqual(MlflowName.path("a/../b"), "a/_x2e_./b")
  })
})
