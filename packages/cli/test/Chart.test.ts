import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import * as Chart from "../src/Chart.ts"
import * as Paint from "../src/Paint.ts"
import { niceTicks, tickText } from "../src/Ticks.ts"
import { golden } from "./support/harness.ts"

const options: Chart.ChartOptions = {
  width: 60,
  height: 8,
  unicode: true,
  paint: Paint.make(false),
  brush: (text) => text
}

const points = (values: ReadonlyArray<number>, steps?: ReadonlyArray<number>): Chart.ChartPoints => ({
  count: values.length,
  values: Float64Array.from(values),
  steps: Float64Array.from(steps ?? values.keys())
})

const text = (values: Chart.ChartPoints, other: Partial<Chart.ChartOptions> = {}) =>
  Chart.render(values, { ...options, ...other }).join("\n")

const noisy = Array.from({ length: 10_000 }, (_, i) => Math.exp(-i / 3_000) + ((i * 7_919) % 1_000) / 10_000)

describe("a chart", () => {
  const cases: ReadonlyArray<readonly [string, Chart.ChartPoints]> = [
    ["band", points(noisy.with(7_000, 1.6))],
    ["few", points([1, 5, 2, 8, 3])],
    ["one", points([0.5], [3])],
    ["flat", points([0.25, 0.25, 0.25])],
    ["nan", points(noisy.map((value, i) => (i > 4_000 && i < 5_000 ? NaN : value)))],
    ["infinite", points([1, 2, Infinity, 3, 2, -Infinity, 1, 2])],
    ["extremes", points([-Number.MAX_VALUE, Number.MAX_VALUE, 0])],
    ["tiny", points([5e-324, 1e-323, 5e-324])],
    ["late", points([3, 1, 2], [300, 100, 200])],
    ["epochs", points([1, 2, 3, 2, 3, 4], [0, 1, 2, 0, 1, 2])],
    ["negative steps", points([1, 2, 3], [-9_007_199_254_740_991, 0, 9_007_199_254_740_991])]
  ]

  it.live.each(cases)("of %s", ([name, values]) =>
    Effect.andThen(
      golden(`chart-${name.replace(" ", "-")}`, `${text(values)}\n`),
      golden(`chart-${name.replace(" ", "-")}-ascii`, `${text(values, { unicode: false })}\n`)
    )
  )

  it("says what there is where nothing can be drawn", () => {
    assert.strictEqual(text(points([])), "no points")
    assert.strictEqual(text(points([NaN, Infinity])), "no value is finite")
  })

  it("shows a spike of one point in ten thousand", () => {
    const rows = Chart.render(points(noisy.with(7_000, 2)), options)
    const spikes = rows.slice(0, 3).map((row) => row.slice(10).replaceAll(" ", "").length)
    assert.isTrue(spikes.every((cells) => cells >= 1))
  })

  it("is ASCII where that is asked for", () => {
    // oxlint-disable-next-line no-control-regex
    assert.match(text(points([1, NaN, Infinity, 2, -Infinity]), { unicode: false }), /^[\u0000-\u007f]*$/)
  })

  it.effect.prop(
    "stays in its width and height, whatever is drawn",
    [Schema.Array(Schema.Number), Schema.Int.check(Schema.isBetween({ minimum: 30, maximum: 140 }))],
    ([values, width]) =>
      Effect.sync(() => {
        const rows = Chart.render(points(values), { ...options, width })
        assert.isTrue(rows.length === 1 || rows.length === options.height + 2)
        assert.isTrue(rows.every((row) => row.length <= Math.max(width, 40)))
      })
  )
})

describe("ticks", () => {
  it("are round, ascending and inside", () => {
    assert.deepStrictEqual(niceTicks(0, 1, 4), [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert.deepStrictEqual(niceTicks(-0.1, 2.2, 4), [0, 0.5, 1, 1.5, 2])
    assert.deepStrictEqual(niceTicks(3, 3, 4), [3])
  })

  it.effect.prop("end, whatever the range", [Schema.Finite, Schema.Finite], ([a, b]) =>
    Effect.sync(() => {
      const [low, high] = a < b ? [a, b] : [b, a]
      const ticks = niceTicks(low, high, 4)
      assert.isAtLeast(ticks.length, 1)
      assert.isAtMost(ticks.length, 12)
    })
  )

  it("have as many decimals as the finest of them", () => {
    const ticks = [0, 0.05, 0.1]
    assert.deepStrictEqual(
      ticks.map((tick) => tickText(tick, ticks)),
      ["0.00", "0.05", "0.10"]
    )
    assert.strictEqual(tickText(2e7, [0, 1e7, 2e7]), "20000000")
  })
})
