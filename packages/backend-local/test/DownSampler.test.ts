import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { DownSampler } from "../src/internal/DownSampler.ts"
import type { Columns } from "../src/LocalReader.ts"

const columns = (values: ReadonlyArray<number>, from = 0): Columns => ({
  count: values.length,
  steps: Float64Array.from(values, (_, i) => from + i),
  values: Float64Array.from(values),
  times: Float64Array.from(values, (_, i) => (from + i) / 10)
})

const sample = (values: ReadonlyArray<number>, buckets: number, blockPoints = 512): Columns => {
  const sampler = new DownSampler(buckets)
  for (let from = 0; from < values.length; from += blockPoints) {
    sampler.push(columns(values.slice(from, from + blockPoints), from))
  }
  assert.strictEqual(sampler.total, values.length)
  return sampler.result()
}

const noise = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) * 43758.5453)

describe("DownSampler", () => {
  it("keeps a spike, a dip and a NaN of one point each among a million", () => {
    const values = Array.from({ length: 1_000_000 }, (_, i) => Math.sin(i / 1_000))
    values[123_457] = 1_000
    values[500_001] = -1_000
    values[777_777] = NaN
    const kept = sample(values, 100)
    const at = (step: number) => kept.values[kept.steps.indexOf(step)]
    assert.strictEqual(at(123_457), 1_000)
    assert.strictEqual(at(500_001), -1_000)
    assert.isTrue(Number.isNaN(at(777_777)))
    assert.isAtMost(kept.count, 302)
    assert.isAtLeast(kept.count, 100)
  })

  it("returns every point when there are no more than buckets", () => {
    const values = [3, NaN, -0, 0, Infinity, -Infinity, 3]
    assert.deepStrictEqual([...sample(values, 7).values], values)
  })

  it("returns nothing of nothing, and one NaN of a series that is all NaN and one point long", () => {
    assert.strictEqual(sample([], 10).count, 0)
    assert.deepStrictEqual([...sample([NaN], 10).values], [NaN])
  })

  it("marks a bucket that is all NaN with one", () => {
    const kept = sample(
      Array.from({ length: 1_000 }, (_, i) => (i >= 500 ? NaN : 1)),
      2,
      100
    )
    assert.isTrue(Number.isNaN(kept.values[kept.count - 1]))
    assert.isAtMost(kept.count, 8)
  })

  it.effect.prop(
    "keeps the extremes of all points, the first and the last, in order and as they were, whatever the blocks",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3_000 })),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 700 }))
    ],
    ([count, buckets, blockPoints]) =>
      Effect.sync(() => {
        const values = noise(count)
        const kept = sample(values, buckets, blockPoints)
        const steps = [...kept.steps]
        assert.deepStrictEqual(
          steps,
          steps.toSorted((a, b) => a - b)
        )
        assert.strictEqual(new Set(steps).size, steps.length)
        assert.deepStrictEqual(
          [...kept.values],
          steps.map((step) => values[step])
        )
        assert.deepStrictEqual([steps[0], steps.at(-1)], [0, count - 1])
        assert.strictEqual(Math.max(...kept.values), Math.max(...values))
        assert.strictEqual(Math.min(...kept.values), Math.min(...values))
        assert.isAtMost(kept.count, buckets * 2 + 2)
        assert.isAtLeast(kept.count, Math.min(count, Math.floor(buckets / 2)))
        assert.deepStrictEqual(steps, [...sample(values, buckets, 512).steps])
      })
  )
})
