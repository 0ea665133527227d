import { assert, it } from "@effect/vitest"
import { describe } from "vitest"
import * as Processor from "../src/Processor.ts"
import * as Route from "../src/Route.ts"
import type { PointBatch, RunEvent } from "../src/RunEvent.ts"

const batch = (names: ReadonlyArray<string>, count: number): PointBatch => ({
  _tag: "PointBatch",
  count,
  series: Uint32Array.from({ length: count }, (_, i) => i % names.length),
  steps: Float64Array.from({ length: count }, (_, i) => i),
  values: Float64Array.from({ length: count }, (_, i) => i / 2),
  times: new Float64Array(count),
  positions: Float64Array.from({ length: count }, (_, i) => 40 * i),
  indices: new Uint16Array(count),
  table: new Map(names.map((name, i) => [i, { name, context: {} }]))
})

const params: RunEvent = { _tag: "Params", time: 1, params: { a: 1 }, position: 8 }

const points = (event: RunEvent | undefined): ReadonlyArray<string> =>
  event?._tag === "PointBatch"
    ? Array.from(
        event.steps,
        (step, i) => `${event.table.get(event.series[i] ?? -1)?.name} ${step} ${event.positions[i]}`
      )
    : []

describe("a pure processor", () => {
  const processors = [Processor.keep("a.*"), Processor.rename({ "a(.*)": "z/$1" }), Processor.sample(0.5)]

  it("gives the same for the same batch, leaves the batch as it was, and keeps order and identity", () => {
    for (const processor of processors) {
      const input = batch(["a1", "b"], 1_000)
      const before = points(input)
      const once = processor.apply(input)
      assert.deepStrictEqual(points(processor.apply(input)), points(once), processor.id)
      assert.deepStrictEqual(points(input), before)
      if (once?._tag !== "PointBatch") return assert.fail("no points")
      assert.deepStrictEqual(
        [...once.positions],
        [...once.positions].toSorted((a, b) => a - b)
      )
      assert.strictEqual(processor.apply(params), params)
    }
  })

  it("keep: keeps whole names, and nothing of a batch without any", () => {
    assert.strictEqual(points(Processor.keep("a").apply(batch(["a", "ab"], 10))).length, 5)
    assert.isUndefined(Processor.keep("c").apply(batch(["a", "ab"], 10)))
  })

  it("rename: takes the first pattern that matches, with its groups", () => {
    const renamed = Processor.rename({ "train_(.*)": "train/$1", ".*": "other" }).apply(batch(["train_loss", "x"], 2))
    assert.deepStrictEqual(points(renamed), ["train/loss 0 0", "other 1 40"])
  })

  it("sample: keeps about the fraction asked for, whatever the batches", () => {
    const whole = batch(["a"], 10_000)
    const kept = points(Processor.sample(0.3).apply(whole))
    assert.isAtLeast(kept.length, 2_800)
    assert.isAtMost(kept.length, 3_200)
    assert.strictEqual(points(Processor.sample(1).apply(whole)).length, 10_000)
    assert.isUndefined(Processor.sample(0).apply(whole))
  })
})

describe("a route", () => {
  it("of kinds lets those through and is pinned as data", () => {
    const route = Route.kinds("params", "tags")
    assert.isTrue(route.accepts(params))
    assert.isFalse(route.accepts(batch(["a"], 1)))
    assert.deepStrictEqual(route.pinned, { kinds: ["params", "tags"] })
    assert.deepStrictEqual(Route.named("late", () => true).pinned, { function: "late" })
  })
})
