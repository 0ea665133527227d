import { assert, it } from "@effect/vitest"
import { crc32 as native } from "node:zlib"
import { describe } from "vitest"
import * as Name from "../src/Name.ts"
import * as Run from "../src/Run.ts"
import * as SeriesContext from "../src/SeriesContext.ts"
import { getInt64, setInt64 } from "../src/internal/bytes.ts"
import { crc32, recordSeed } from "../src/internal/crc32.ts"
import * as Json from "../src/internal/json.ts"
import { decodeHeader, encodeHeader, fileName, parseFileName } from "../src/internal/segment.ts"
import { random } from "./support/histories.ts"

describe("crc32", () => {
  it("J3.3: is zlib's, for any bytes, range and seed", () => {
    const rng = random(1)
    for (let i = 0; i < 2_000; i++) {
      const bytes = Uint8Array.from({ length: rng.below(80) }, () => rng.below(256))
      const from = rng.below(bytes.length + 1)
      const seed = rng.below(2 ** 32)
      assert.strictEqual(crc32(bytes, from, bytes.length, seed), native(bytes.subarray(from), seed))
    }
  })

  it("J3.3: is seeded with the salt and both halves of the position", () => {
    assert.strictEqual(recordSeed(0, 0x1_0000_0002), 3)
    assert.strictEqual(recordSeed(0xffff_ffff, 0), 0xffff_ffff)
    assert.strictEqual(recordSeed(0x0f0f_0f0f, 0xf000_0000), 0xff0f_0f0f)
  })
})

describe("an i64", () => {
  it("J5.20: is exact up to ±(2^53 − 1)", () => {
    const view = new DataView(new ArrayBuffer(8))
    for (const value of [0, -1, 1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, -(2 ** 32), 2 ** 53 - 1, -(2 ** 53 - 1)]) {
      setInt64(view, 0, value)
      assert.strictEqual(view.getBigInt64(0, true), BigInt(value))
      assert.strictEqual(getInt64(view, 0), value)
    }
  })
})

describe("a segment's header", () => {
  const header = {
    role: "child",
    salt: 0xfedcba98,
    streamOffset: 2 ** 40 + 8,
    createdAt: 1_790_000_000.25,
    number: 7,
    identity: { run: "r", writer: "w", host: "höst", boot: "b", pid: 42, of: "p" }
  } as const

  it("reads back as it was written", () => {
    const bytes = encodeHeader(header)
    assert.deepStrictEqual(decodeHeader(bytes), { ...header, length: bytes.length })
    assert.strictEqual(bytes.length % 8, 0)
  })

  it("J2.1: is refused with any bit of it changed", () => {
    const bytes = encodeHeader(header)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = bytes.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.isUndefined(decodeHeader(changed), `bit ${bit}`)
    }
  })

  it("J2.1: is refused when cut anywhere", () => {
    const bytes = encodeHeader(header)
    for (let length = 0; length < bytes.length; length++) assert.isUndefined(decodeHeader(bytes.subarray(0, length)))
  })

  it("J1.2: has a file name of its own, and no other name is one", () => {
    assert.deepStrictEqual(parseFileName(fileName("a-b_1", 10)), { writer: "a-b_1", number: 10 })
    for (const name of ["w.01.tlj", "w.tlj", ".0.tlj", "w.0.tlj.tmp", "w.-1.tlj", "w.0.lock", "ä.0.tlj"]) {
      assert.isUndefined(parseFileName(name), name)
    }
  })
})

describe("JSON of a user's values", () => {
  it("J5.24: loses nothing that JSON can be made to hold", () => {
    const cases: ReadonlyArray<readonly [unknown, string | undefined]> = [
      [NaN, '"NaN"'],
      [Infinity, '"Infinity"'],
      [-Infinity, '"-Infinity"'],
      [-0, "-0"],
      [2 ** 53, '"9007199254740992"'],
      [2 ** 53 - 1, "9007199254740991"],
      [1e300, "1e+300"],
      [12n, "12"],
      [2n ** 70n, '"1180591620717411303424"'],
      [{ a: [1, undefined, { b: -0 }], c: undefined }, '{"a":[1,null,{"b":-0}]}'],
      [JSON.parse('{"__proto__":{"x":1}}'), '{"__proto__":{"x":1}}'],
      [new Date(0), '"1970-01-01T00:00:00.000Z"'],
      ["\ud800", '"\\ud800"'],
      [new Map<string, unknown>([["__proto__", 1]]), '{"__proto__":1}'],
      [new Map(), "{}"],
      [new Map([[1, 2]]), undefined],
      [new Set(["a", NaN]), '["a","NaN"]'],
      [new Float32Array([0.5, Infinity]), '[0.5,"Infinity"]'],
      [new BigInt64Array([2n ** 60n]), '["1152921504606846976"]'],
      [new DataView(new ArrayBuffer(8)), undefined],
      [new ArrayBuffer(8), undefined],
      [new Error("no"), '"Error: no"'],
      [/a+/g, '"/a+/g"'],
      [Promise.resolve(1), undefined],
      [{}, "{}"],
      [Object.create(null), "{}"],
      [
        new (class Config {
          lr = 0.1
        })(),
        '{"lr":0.1}'
      ],
      [() => 1, undefined],
      [{ f: Symbol("s") }, undefined]
    ]
    for (const [value, text] of cases) assert.strictEqual(Json.stringify(value), text)
    assert.isTrue(Object.is(Json.normalise(-0), -0))
  })

  it("refuses a circle and what is nested too deep, instead of failing", () => {
    const circle: { self?: unknown } = {}
    circle.self = circle
    assert.isUndefined(Json.stringify(circle))
    let deep: unknown = 1
    for (let i = 0; i < Json.depthMax; i++) deep = [deep]
    assert.isDefined(Json.stringify(deep))
    assert.isUndefined(Json.stringify([deep]))
  })
})

describe("names and contexts", () => {
  it("J5.22: a name has 1 to 1,024 bytes and no lone surrogate", () => {
    for (const name of ["a", "__proto__", "\u0000\n\u001b", "é".repeat(512), "😀".repeat(256)]) {
      assert.isUndefined(Name.problem(name), name)
    }
    for (const name of ["", "é".repeat(513), "x".repeat(1_025), "a\ud800", 1, null, undefined, {}]) {
      assert.isDefined(Name.problem(name), typeof name)
    }
  })

  it("J5.23: contexts are one when their keys and values are, in whatever order", () => {
    assert.strictEqual(SeriesContext.toKey({ b: 1, a: "x" }), SeriesContext.toKey({ a: "x", b: 1 }))
    assert.notStrictEqual(SeriesContext.toKey({ a: 1 }), SeriesContext.toKey({ a: "1" }))
    assert.isTrue(SeriesContext.isSame({ b: 1, a: "x" }, { a: "x", b: 1 }))
    assert.isFalse(SeriesContext.isSame({ a: 1 }, { a: 1, b: 2 }))
    assert.isFalse(SeriesContext.isSame({ a: 1, b: 2 }, { a: 1 }))
    for (const context of [
      { a: NaN },
      { a: null },
      { a: {} },
      [],
      "a",
      { a: "é".repeat(2_100) },
      { a: "\ud800" },
      { "\ud800": 1 }
    ]) {
      assert.isFalse(SeriesContext.isSeriesContext(context))
    }
    assert.isFalse(
      SeriesContext.isSeriesContext(Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, i])))
    )
  })
})

describe("the status of several writers", () => {
  it("J10.2: is the first present of running, failed, killed, stale, finished", () => {
    assert.strictEqual(Run.worst(["finished", "stale"]), "stale")
    assert.strictEqual(Run.worst(["stale", "killed"]), "killed")
    assert.strictEqual(Run.worst(["killed", "failed"]), "failed")
    assert.strictEqual(Run.worst(["failed", "running"]), "running")
    assert.strictEqual(Run.worst([]), "killed")
  })
})
