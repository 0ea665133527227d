import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as MlflowMapping from "@tracelet/backend-mlflow/MlflowMapping"
import { points, series } from "./support/batches.ts"

const loss = series("loss")
const metrics = (...values: ReadonlyArray<{ readonly step: number; readonly value: number; readonly time: number }>) =>
  MlflowMapping.metrics(
    points(
      0,
      values.map((one) => ({ series: loss, ...one }))
    ),
    5,
    new MlflowMapping.Keys(),
    () => {}
  )

describe("MlflowMapping", () => {
  it.each([
    [1, "1"],
    [-0, "0"],
    [0.1, "0.1"],
    [1e21, "1e+21"],
    [Number.NaN, '"NaN"'],
    [Number.POSITIVE_INFINITY, '"Infinity"'],
    [Number.NEGATIVE_INFINITY, '"-Infinity"']
  ])("writes the value %d as %s", (value, json) => {
    assert.strictEqual(MlflowMapping.value(value), json)
  })

  it("writes a point with whole milliseconds and the step's own digits", () => {
    const { entries } = metrics({ step: -Number.MAX_SAFE_INTEGER, value: 2, time: 1_700_000_000.1239 })
    assert.deepStrictEqual(entries, [
      {
        json: '{"key":"loss","value":2,"timestamp":1700000000124,"step":-9007199254740991}',
        name: "loss",
        event: 5,
        index: 0
      }
    ])
  })

  it("refuses a time before 1970 alone, and says so", () => {
    const { entries, refused } = metrics({ step: 0, value: 1, time: 1 }, { step: 1, value: 1, time: -1 })
    assert.strictEqual(entries.length, 1)
    assert.deepStrictEqual(
      refused.map(({ index }) => index),
      [1]
    )
    assert.include(refused[0]?.reason, "1970")
  })

  it.effect.prop("writes only bodies that are JSON and say what was meant", [Schema.Array(Schema.Number)], ([values]) =>
    Effect.sync(() => {
      const { entries } = metrics(...values.map((value, step) => ({ step, value, time: step })))
      const read: { readonly metrics: ReadonlyArray<{ readonly value: number | string; readonly step: number }> } =
        JSON.parse(MlflowMapping.body("r", "metrics", entries))
      assert.deepStrictEqual(
        read.metrics.map(({ step, value }) => [step, Number(value)]),
        values.map((value, step) => [step, value === 0 ? 0 : value])
      )
    })
  )

  it("cuts at 1,000 entries and at 900 kB, and loses none", () => {
    const small = Array.from({ length: 2_001 }, (_, index) => ({ json: "{}", name: "a", event: 0, index }))
    assert.deepStrictEqual(
      MlflowMapping.split(small).map((part) => part.length),
      [1_000, 1_000, 1]
    )
    const large = Array.from({ length: 10 }, (_, index) => ({ json: "損".repeat(100_000), name: "a", event: 0, index }))
    assert.deepStrictEqual(
      MlflowMapping.split(large).map((part) => part.length),
      [2, 2, 2, 2, 2]
    )
    assert.deepStrictEqual(MlflowMapping.split([]), [])
  })

  it("says of a cut text how long it was and where the whole is, and cuts no character in two", () => {
    const text = "\u{1F600}".repeat(300)
    const cut = MlflowMapping.shortened(text, 100, "params/x.txt")
    assert.isAtMost([...cut].length, 100)
    assert.isTrue(cut.isWellFormed())
    assert.include(cut, "[300 characters, all of them in the artifact params/x.txt]")
    assert.strictEqual(MlflowMapping.shortened(text, 300, ""), text)
  })

  it("makes texts that any database behind MLflow takes", () => {
    assert.strictEqual(MlflowMapping.storable("a\u0000b\ud800"), "a\u2400b\ufffd")
  })
})
