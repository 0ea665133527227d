import { assert, it } from "@effect/vitest"
import { describe } from "vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe as describeFailure, toLine } from "../src/Failure.ts"
import * as Format from "../src/Format.ts"
import * as Paint from "../src/Paint.ts"
import * as Table from "../src/Table.ts"
import * as Text from "../src/Text.ts"

describe("numbers", () => {
  it("have four to six significant digits", () => {
    const values = [0, -0, 1, 0.5, 1 / 3, 123.456789, 123456.789, 1e6, 1.23456789e9, 1e-4, 1.23456e-5, -7e-300, 5e-324]
    assert.deepStrictEqual(values.map(Format.number), [
      "0",
      "-0",
      "1",
      "0.5",
      "0.33333",
      "123.46",
      "123457",
      "1000000",
      "1.235e9",
      "0.0001",
      "1.235e-5",
      "-7e-300",
      "4.941e-324"
    ])
    assert.deepStrictEqual([NaN, Infinity, -Infinity].map(Format.number), ["NaN", "inf", "-inf"])
  })

  it("that count have commas, and steps on an axis are short", () => {
    assert.deepStrictEqual([0, 999, 1_000, 1_234_567].map(Format.count), ["0", "999", "1,000", "1,234,567"])
    assert.deepStrictEqual([0, 9_999, 20_000, 1_500_000, -3e9].map(Format.compact), ["0", "9999", "20k", "1.5M", "-3G"])
    assert.deepStrictEqual([0, 999, 1_234, 65e6].map(Format.bytes), ["0 B", "999 B", "1.2 kB", "65 MB"])
  })
})

describe("times", () => {
  it("of any length are short", () => {
    const seconds = [0, 0.85, 4.24, 59.99, 185, 3_599, 8_040, 100_000, -5]
    assert.deepStrictEqual(seconds.map(Format.duration), [
      "0 ms",
      "850 ms",
      "4.2 s",
      "1 m 00 s",
      "3 m 05 s",
      "59 m 59 s",
      "2 h 14 m",
      "1 d 04 h",
      "0 ms"
    ])
  })

  it("of a clock that is wrong print all the same", () => {
    assert.strictEqual(Format.iso(1_790_000_000.1234), "2026-09-21T14:13:20.123Z")
    for (const wrong of [1e300, -1e300]) assert.match(Format.iso(wrong), /Z$/)
  })
})

describe("texts", () => {
  it.effect.prop("never move the cursor, and never exceed their width", [Schema.String], ([text]) =>
    Effect.sync(() => {
      const printable = Text.printable(text)
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(printable, /[\u0000-\u001f\u007f-\u009f]/)
      assert.isAtMost(Text.width(Text.fit(printable, 10)), 10)
    })
  )

  it("count two columns for what is wide", () => {
    assert.deepStrictEqual(["abc", "模型", "é", "e\u0301", "✨", "🚀"].map(Text.width), [3, 4, 1, 1, 2, 2])
    assert.strictEqual(Text.fit("模型模型", 5), "模型…")
  })
})

describe("a table", () => {
  const columns: ReadonlyArray<Table.Column> = [
    { title: "name", align: "left", shrinkTo: 4 },
    { title: "extra", align: "left", drop: 1 },
    { title: "value", align: "decimal" }
  ]
  const rows = [
    ["a long name", "x", "1.25"],
    ["b", "y", "100"]
  ]
  const render = (width: number) => Table.render(columns, rows, { paint: Paint.make(false), width })

  it("aligns numbers at their point", () => {
    assert.deepStrictEqual(render(Infinity), [
      "name         extra   value",
      "a long name  x        1.25",
      "b            y      100"
    ])
  })

  it("cuts texts where it is too wide, then leaves columns out", () => {
    assert.deepStrictEqual(render(22), ["name     extra   value", "a long…  x        1.25", "b        y      100"])
    assert.deepStrictEqual(render(12), ["name   value", "a l…    1.25", "b     100"])
  })
})

describe("a failure", () => {
  it("is one line with what to do", () => {
    const defect = describeFailure(new TypeError("x is\n  not a function"))
    assert.strictEqual(defect.tag, "Defect")
    assert.strictEqual(
      toLine(defect),
      "tracelet: tracelet stopped at something it did not expect: x is not a function. Please report it, with the output of `tracelet doctor`."
    )
  })

  it("ends each sentence once", () => {
    const line = (message: string) => toLine({ tag: "T", message, hint: "Do this.", exitCode: 1 })
    assert.strictEqual(line("could not read a (ENOTDIR)"), "tracelet: could not read a (ENOTDIR). Do this.")
    assert.strictEqual(line("It is so. (It is.)"), "tracelet: It is so. (It is.) Do this.")
    assert.strictEqual(line('what is "a."'), 'tracelet: what is "a." Do this.')
    assert.strictEqual(line("It is gone…"), "tracelet: It is gone… Do this.")
  })
})
