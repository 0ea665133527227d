import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import type { JournalWriter } from "@tracelet/core/Journal"
import { compareParams, compareSeries } from "../src/ComparePage.ts"
import * as Output from "../src/Output.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { training, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(Output.Compare)))

/** Half as long as `training`, and better for a while; one series of its own, and none of the schedule. */
const other = (writer: JournalWriter, startedAt: number): void => {
  writer.event({
    _tag: "Params",
    time: startedAt,
    params: { lr: 0.01, layers: [64, 32], optimizer: { name: "adam", eps: 1e-7 }, seed: 7 }
  })
  for (let step = 0; step < 2_000; step++) {
    const time = startedAt + step / 10
    writer.point(
      "train/loss",
      1.4 * Math.exp(-step / 300) + 0.5 + ((step * 7_919) % 1_000) / 9_000,
      step,
      undefined,
      time
    )
    if (step % 10 > 0) continue
    const value = step === 1_500 ? Infinity : 0.8 - 0.8 * Math.exp(-step / 200)
    writer.point("val/acc", value, step, { subset: "val" }, time)
    writer.point("grad/norm", 3, step, undefined, time)
  }
}

const folder = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  yield* writeEnded(dir, { id: "aa11".padEnd(32, "0"), startedAt: now - 9_000, log: training })
  yield* writeEnded(dir, { id: "bb22".padEnd(32, "0"), name: "sweep-1", end: "failed", log: other })
  return dir
})

describe("tracelet compare", () => {
  it.live("prints what differs, the series side by side, and charts one below the other without colour", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const { code, out, err } = yield* tracelet(dir, ["compare", "baseline", "sweep-1", "--dir", "."])
        assert.deepStrictEqual([code, err], [0, ""])
        yield* golden("compare", out)
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(out, /\u001b/)
        const whole = yield* tracelet(dir, ["compare", "baseline", "sweep-1", "--all", "--ascii", "--dir", "."])
        assert.include(whole.out, "layers")
        // oxlint-disable-next-line no-control-regex
        assert.match(whole.out, /^[\u0000-\u007f]*$/)
      })
    )
  )

  it.live("draws both in one plot in colour, and fits a narrow terminal", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const session = { columns: 72, env: { NO_COLOR: "" } }
        const { out } = yield* tracelet(
          dir,
          ["compare", "baseline", "sweep-1", "--series", "*loss", "--dir", "."],
          session
        )
        yield* golden("compare-colour", out)
        // oxlint-disable-next-line no-control-regex
        const lines = out.replace(/\u001b\[\d+m/g, "").split("\n")
        assert.deepStrictEqual(
          lines.filter((line) => line.length > 72),
          []
        )
      })
    )
  )

  it.live("prints JSON with everything, infinities and NaN among it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const { out } = yield* tracelet(dir, ["compare", "baseline", "bb22", "--json", "--dir", "."])
        const { a, b, params, series } = yield* decode(out)
        assert.deepStrictEqual([a.name, b.name], ["baseline", "sweep-1"])
        assert.deepStrictEqual(
          params.filter(({ key }) => key !== "note"),
          [
            { key: "layers", a: [64, 32], b: [64, 32], differs: false },
            { key: "lr", a: 0.001, b: 0.01, differs: true },
            { key: "optimizer/eps", a: 1e-8, b: 1e-7, differs: true },
            { key: "optimizer/name", a: "adam", b: "adam", differs: false },
            { key: "seed", b: 7, differs: true }
          ]
        )
        assert.deepStrictEqual(
          series.map(({ name, a: ofA, b: ofB }) => [name, ofA?.points, ofB?.points]),
          [
            ["grad/norm", undefined, 200],
            ["lr", 400, undefined],
            ["train/loss", 4_000, 2_000],
            ["val/acc", 400, 200]
          ]
        )
        assert.strictEqual(series[3]?.difference?.max, Infinity)
      })
    )
  )

  it.live("refuses one run twice, a run that is none, and a pattern that nothing fits", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const tag = (...args: ReadonlyArray<string>) =>
          Effect.map(tracelet(dir, ["compare", ...args, "--json", "--dir", "."]), ({ code, out }) => [
            code,
            JSON.parse(out).error?.tag
          ])
        assert.deepStrictEqual(yield* tag("baseline", "aa11"), [1, "SameRun"])
        assert.deepStrictEqual(yield* tag("baseline", "none"), [1, "RunNotFound"])
        assert.deepStrictEqual(yield* tag("baseline", "sweep-1", "--series", "none"), [1, "SeriesNotFound"])
        assert.deepStrictEqual(yield* tag("baseline"), [2, "MissingArgument"])
      })
    )
  )

  it("tells what JSON tells apart, and takes an empty object for a value", () => {
    const params = compareParams(
      new Map([["a", JSON.parse('{"x":{},"y":-0}')]]),
      new Map([["a", JSON.parse('{"x":{},"y":0}')]])
    )
    assert.deepStrictEqual(
      params.map(({ key, differs }) => [key, differs]),
      [
        ["a/x", false],
        ["a/y", true]
      ]
    )
  })

  it("takes contexts for one whatever the order of their keys", () => {
    const one = (context: { readonly [key: string]: string }, value: number): Output.Series => ({
      name: "loss",
      context,
      points: 1,
      nans: 0,
      min: value,
      max: value,
      last: { step: 0, value, time: 1 }
    })
    const both = compareSeries([one({ a: "1", b: "2" }, 1)], [one({ b: "2", a: "1" }, 4), one({}, 9)])
    assert.deepStrictEqual(
      both.map(({ context, difference }) => [Object.keys(context).length, difference?.last]),
      [
        [2, 3],
        [0, undefined]
      ]
    )
  })
})
