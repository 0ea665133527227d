/** Each processor against the laws of the contract: cuts change nothing, a state survives its own JSON, and it is bounded. */
import { assert, it } from "@effect/vitest"
import type { Json } from "@tracelet/core/JsonObject"
import type { PointBatch } from "@tracelet/core/RunEvent"
import { slice } from "@tracelet/core/RunEvent"
import type { Series } from "@tracelet/core/Series"
import { StatefulProcessor, type Input, type Output } from "@tracelet/core/StatefulProcessor"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe } from "vitest"
import * as JsonText from "../../core/src/internal/json.ts"
import { random } from "../../core/test/support/histories.ts"
import * as Reduce from "../src/Reduce.ts"
import * as Summarise from "../src/Summarise.ts"
import * as Throttle from "../src/Throttle.ts"

type Service = StatefulProcessor["Service"]

const build = <E>(plugin: { readonly layer: Layer.Layer<StatefulProcessor, E> }) =>
  Effect.map(Effect.scoped(Layer.build(plugin.layer)), (context) => Context.get(context, StatefulProcessor))

const plugins = {
  mean: Reduce.plugin({ by: "mean", ranks: 3, heldMax: 20 }),
  max: Reduce.plugin({ by: "max", ranks: 3, heldMax: 2 }),
  throttle: Throttle.plugin({ every: "2 seconds" }),
  summarise: Summarise.plugin({ steps: 4 })
}

interface Point {
  readonly name?: string
  readonly rank?: number
  readonly step: number
  readonly value: number
  readonly time?: number
}

/** One object for each series, as a decoder's table has. */
const tableOf = (points: ReadonlyArray<Point>) => {
  const table: Array<Series> = []
  const numbers = points.map(({ name = "loss", rank }) => {
    const known = table.findIndex((series) => series.name === name && series.context["rank"] === rank)
    if (known >= 0) return known
    return table.push({ name, context: rank === undefined ? {} : { rank } }) - 1
  })
  return { table: new Map(table.map((series, i) => [i, series])), numbers }
}

const batch = (points: ReadonlyArray<Point>): PointBatch => {
  const { table, numbers } = tableOf(points)
  return {
    _tag: "PointBatch",
    count: points.length,
    series: Uint32Array.from(numbers),
    steps: Float64Array.from(points, ({ step }) => step),
    values: Float64Array.from(points, ({ value }) => value),
    times: Float64Array.from(points, ({ time = 0 }) => time),
    positions: new Float64Array(points.length),
    indices: new Uint16Array(points.length),
    table
  }
}

const said = ({ name, context, step, value, time }: Output) =>
  `${name} ${JSON.stringify(context)} ${step} ${Object.is(value, -0) ? "-0" : value} @${time}`

const points = (points_: PointBatch, writer = "w"): Input => ({ _tag: "Points", writer, points: points_ })

/** Through the text that a commit holds. */
const throughJson = (state: Json): Json => JSON.parse(JsonText.stringify(state) ?? "")

const run = (service: Service, inputs: ReadonlyArray<Input>, isKilled: (i: number) => boolean = () => false) => {
  let fold = service.begin(undefined)
  const outputs: Array<string> = []
  for (const [i, input] of inputs.entries()) {
    outputs.push(...(fold?.push(input) ?? []).map(said))
    if (fold !== undefined && isKilled(i)) fold = service.begin(throughJson(fold.snapshot()))
    assert.isDefined(fold)
  }
  return outputs
}

const anyPoints = (seed: number): ReadonlyArray<Point> => {
  const rng = random(seed)
  const special = [NaN, Infinity, -Infinity, -0, 2 ** 60, -(2 ** 70), 5e-324]
  return Array.from({ length: 60 }, (_, i) => ({
    name: ["a", "b", "__proto__"][rng.below(3)] ?? "a",
    rank: rng.below(3),
    step: Math.floor(i / 6) + rng.below(3) - 1,
    value: rng.next() < 0.2 ? (special[rng.below(special.length)] ?? 0) : rng.next(),
    time: rng.next() < 0.05 ? 0 : i / 3
  }))
}

describe.each(Object.entries(plugins))("%s", (_name, plugin) => {
  it.effect("gives the same however its batches are cut and wherever it goes on from its state", () =>
    Effect.gen(function* () {
      const service = yield* build(plugin)
      for (let seed = 1; seed <= 50; seed++) {
        const whole = batch(anyPoints(seed))
        const half = Math.floor(whole.count / 2)
        const ends: ReadonlyArray<Input> = [{ _tag: "WriterEnded", writer: "w" }, { _tag: "Ended" }, { _tag: "Ended" }]
        const wanted = run(service, [points(whole), ...ends])
        const halves = [points(slice(whole, 0, half)), points(slice(whole, half, whole.count))]
        const ones = Array.from({ length: whole.count }, (_, i) => points(slice(whole, i, i + 1)))
        assert.isAbove(wanted.length, 10)
        assert.deepStrictEqual(run(service, [...halves, ...ends]), wanted)
        assert.deepStrictEqual(run(service, [...ones, ...ends]), wanted)
        assert.deepStrictEqual(
          run(service, [...ones, ...ends], () => true),
          wanted
        )
      }
    })
  )

  it.effect("begins anew when all have ended", () =>
    Effect.gen(function* () {
      const service = yield* build(plugin)
      const fold = service.begin(undefined)
      const fresh = JSON.stringify(fold?.snapshot())
      fold?.push(points(batch(anyPoints(3))))
      assert.notStrictEqual(JSON.stringify(fold?.snapshot()), fresh)
      fold?.push({ _tag: "Ended" })
      assert.strictEqual(JSON.stringify(fold?.snapshot()), fresh)
    })
  )

  it.effect("refuses a state that is none of its own", () =>
    Effect.map(build(plugin), (service) => {
      assert.isUndefined(service.begin({ steps: 7 }))
      assert.isUndefined(service.begin("x"))
    })
  )

  it.effect("keeps its state bounded, and gives out what no longer fits", () =>
    Effect.gen(function* () {
      const service = yield* build(plugin)
      const fold = service.begin(undefined)
      let given = 0
      for (let i = 0; i < 9_000; i++) {
        const one = [
          { name: `s${i}`, rank: 0, step: 1, value: 1, time: 1 },
          { name: `s${i}`, rank: 0, step: 2, value: 2, time: 2 }
        ]
        given += fold?.push(points(batch(one))).length ?? 0
      }
      assert.isAbove(given, 4_000)
      assert.isBelow(JSON.stringify(fold?.snapshot()).length, 2_000_000)
    })
  )
})

describe("reduce", () => {
  const given = (options: Parameters<typeof Reduce.plugin>[0], inputs: ReadonlyArray<Input>) =>
    Effect.map(build(Reduce.plugin(options)), (service) => run(service, inputs).map((text) => text.replace(/ @.*/, "")))
  const of = (rank: number, value: number, step = 1) => ({ rank, value, step })

  it.effect("gives mean, least, greatest and sum, in the order of the ranks", () =>
    Effect.gen(function* () {
      const input = [points(batch([of(2, 1e16), of(0, 1), of(1, -1e16), of(3, -0)]))]
      const by = (method: "mean" | "min" | "max" | "sum") => given({ by: method, ranks: 4 }, input)
      // In this order 1 is lost beside 1e16, in another it is not: what counts is that it is always this one.
      assert.deepStrictEqual(yield* by("sum"), ['loss {"reduce":"sum"} 1 0'])
      assert.deepStrictEqual(yield* by("mean"), ['loss {"reduce":"mean"} 1 0'])
      assert.deepStrictEqual(yield* by("min"), ['loss {"reduce":"min"} 1 -10000000000000000'])
      assert.deepStrictEqual(yield* by("max"), ['loss {"reduce":"max"} 1 10000000000000000'])
      const great = [points(batch([of(0, 1.5e308), of(1, 1.5e308)]))]
      assert.deepStrictEqual(yield* given({ by: "mean", ranks: 2 }, great), ['loss {"reduce":"mean"} 1 1.5e+308'])
    })
  )

  it.effect("waits no longer for a rank whose writers have all ended", () =>
    Effect.gen(function* () {
      const found = yield* given({ by: "mean", ranks: 2 }, [
        points(batch([of(0, 1)]), "a"),
        points(batch([of(0, 3, 2), of(1, 5, 2)]), "b"),
        { _tag: "WriterEnded", writer: "a" },
        points(batch([of(1, 3)]), "b"),
        { _tag: "WriterEnded", writer: "b" },
        points(batch([of(1, 7, 3), of(1, 8, 4)]), "c")
      ])
      assert.deepStrictEqual(found, [
        'loss {"reduce":"mean"} 2 4',
        'loss {"reduce":"mean"} 1 2',
        // Rank 1 goes on in another process, rank 0 does not.
        'loss {"reduce":"mean","given":1} 3 7',
        'loss {"reduce":"mean","given":1} 4 8'
      ])
    })
  )

  it.effect("gives a step that came twice twice, and what was not complete with its count", () =>
    Effect.gen(function* () {
      const found = yield* given({ by: "mean", ranks: 2 }, [
        points(batch([of(0, 1), of(0, 2), of(1, 3), of(1, 4), of(0, 5)])),
        { _tag: "Ended" }
      ])
      assert.deepStrictEqual(found, [
        'loss {"reduce":"mean"} 1 2',
        'loss {"reduce":"mean"} 1 3',
        'loss {"reduce":"mean","given":1} 1 5'
      ])
    })
  )
})

describe("throttle", () => {
  it.effect("gives the first point of an interval, and the last of all", () =>
    Effect.gen(function* () {
      const service = yield* build(Throttle.plugin({ every: "10 seconds" }))
      const at = (time: number, i: number) => ({ step: i, value: i, time })
      const input = points(batch([0, 1, 9.9, 10, 15, 25, 26, 3, 4].map(at)))
      const steps = run(service, [input, { _tag: "Ended" }]).map((text) => Number(text.split(" ")[2]))
      // At 3 the clock was set back.
      assert.deepStrictEqual(steps, [0, 3, 5, 7, 8])
    })
  )
})

describe("summarise", () => {
  it.effect("gives points that were captured: the least, the greatest and the last of each window", () =>
    Effect.gen(function* () {
      const service = yield* build(Summarise.plugin({ steps: 3 }))
      const values = [2, NaN, 1, NaN, NaN, 7]
      const input = points(batch(values.map((value, step) => ({ step, value }))))
      const found = run(service, [input, { _tag: "Ended" }]).map((text) => text.replace(/ @.*/, ""))
      assert.deepStrictEqual(found, [
        'loss {"window":"min"} 2 1',
        'loss {"window":"max"} 0 2',
        'loss {"window":"last"} 2 1',
        'loss {"window":"min"} 5 7',
        'loss {"window":"max"} 5 7',
        'loss {"window":"last"} 5 7'
      ])
    })
  )
})
