import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { inflateSync } from "node:zlib"
import { histogramCountsMax } from "../src/RunEvent.ts"
import * as Tracker from "../src/Tracker.ts"
import { encodeText } from "../src/internal/bytes.ts"
import { crc32 } from "../src/internal/crc32.ts"
import { mediaBytesMax } from "../src/internal/media.ts"
import { pixelsMax } from "../src/internal/png.ts"
import { capture, only } from "./support/captured.ts"

const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2])

/** Chunks of a PNG whose checksums hold, by type. */
const chunksOf = (bytes: Uint8Array): ReadonlyMap<string, Uint8Array> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const chunks = new Map<string, Uint8Array>()
  for (let at = 8; at < bytes.length;) {
    const length = view.getUint32(at)
    assert.strictEqual(view.getUint32(at + 8 + length), crc32(bytes, at + 4, at + 8 + length, 0))
    chunks.set(Buffer.from(bytes.subarray(at + 4, at + 8)).toString("latin1"), bytes.subarray(at + 8, at + 8 + length))
    at += 12 + length
  }
  return chunks
}

/** What the types let nobody write. */
const untyped = (value: unknown) => JSON.parse("[null]", () => value)

const json = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString())

describe("An image", () => {
  it.live("that is a file already is kept as it is, once for the same bytes (J6.3)", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logImage("sample", png, { step: 3, context: { subset: "val" } })
          yield* Tracker.logImage("again", png)
          yield* Tracker.logImage("again", png)
        })
      )
      const media = only(captured, "Media")
      assert.deepStrictEqual(
        media.map(({ name, kind, mediaType, step, bytes }) => ({ name, kind, mediaType, step, bytes })),
        [
          { name: "sample", kind: "image", mediaType: "image/png", step: 3, bytes: 10 },
          { name: "again", kind: "image", mediaType: "image/png", step: 0, bytes: 10 },
          { name: "again", kind: "image", mediaType: "image/png", step: 1, bytes: 10 }
        ]
      )
      assert.deepStrictEqual(media[0]?.context, { subset: "val" })
      assert.strictEqual(captured.blobs.length, 1)
      assert.deepStrictEqual(yield* captured.blob(media[0]?.digest ?? ""), png)
      assert.deepStrictEqual(captured.said, [])
    })
  )

  it.live("of pixels becomes a PNG of these pixels", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logImage("rgb", {
            data: Uint8Array.from([1, 2, 3, 4, 5, 6, 250, 0, 9, 7, 7, 7]),
            width: 2,
            height: 2
          })
          yield* Tracker.logImage("grey", { data: Float32Array.from([0, 0.5, 1, 7, -1, NaN]), width: 3, height: 2 })
        })
      )
      const [rgb, grey] = only(captured, "Media")
      const chunks = chunksOf(yield* captured.blob(rgb?.digest ?? ""))
      assert.deepStrictEqual([...(chunks.get("IHDR") ?? [])], [0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0])
      // Filter 2: each row is the difference to the one above.
      assert.deepStrictEqual(
        [...inflateSync(chunks.get("IDAT") ?? png)],
        [2, 1, 2, 3, 4, 5, 6, 2, 249, 254, 6, 3, 2, 1]
      )
      const row = inflateSync(chunksOf(yield* captured.blob(grey?.digest ?? "")).get("IDAT") ?? png)
      assert.deepStrictEqual([...row], [2, 0, 128, 255, 2, 255, 128, 1])
    })
  )

  it.live("that is none is refused, counted and said once, and nothing is kept of it (J5.25)", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logImage("text", encodeText("no image"))
          yield* Tracker.logImage("text", encodeText("no image"))
          yield* Tracker.logImage("short", { data: new Uint8Array(5), width: 2, height: 2 })
          yield* Tracker.logImage("huge", { data: new Uint8Array(1), width: pixelsMax + 1, height: 1 })
          yield* Tracker.logImage("none", untyped(null))
          const long = new Uint8Array(mediaBytesMax + 1)
          long.set(png)
          yield* Tracker.logImage("long", long)
          yield* Tracker.logImage("step", png, { step: 0.5 })
          yield* Tracker.logImage("options", png, untyped(null))
          yield* Tracker.logImage("", png)
          yield* Tracker.log({ loss: 1 })
        })
      )
      assert.deepStrictEqual([only(captured, "Media"), captured.blobs], [[], []])
      assert.strictEqual(only(captured, "PointBatch")[0]?.count, 1)
      assert.strictEqual(captured.said.length, 8)
      assert.include(captured.said.join(), `it has more than ${mediaBytesMax} bytes`)
      assert.include(captured.said.join(), `an image has at most ${pixelsMax} pixels`)
      assert.include(captured.said[0], "2 values of run n not kept: image: the bytes are no PNG, JPEG, GIF or WebP")
    })
  )
})

describe("A histogram", () => {
  it.live("of values has as many bins as asked for, the greatest in the last, what is not finite in none (J5.11)", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logHistogram("w", [0, 1, 1.5, 4, NaN, Infinity], { bins: 4 })
          yield* Tracker.logHistogram("same", new Float32Array([2, 2]), { bins: 1 })
          yield* Tracker.logHistogram("narrow", [0, 5e-324], { bins: 2 })
          yield* Tracker.logHistogram("wide", [-1.7e308, 1.7e308], { bins: 2 })
        })
      )
      const [values, same, narrow, wide] = only(captured, "Media")
      assert.deepStrictEqual(narrow?.counts, [2, 0])
      assert.deepStrictEqual(
        [values?.edges, values?.counts],
        [
          [0, 1, 2, 3, 4],
          [1, 2, 0, 1]
        ]
      )
      assert.deepStrictEqual([same?.edges, same?.counts], [[1.5, 2.5], [2]])
      assert.deepStrictEqual(
        [wide?.edges, wide?.counts],
        [
          [-1.7e308, 0, 1.7e308],
          [1, 1]
        ]
      )
      assert.deepStrictEqual(json(yield* captured.blob(values?.digest ?? "")), {
        edges: [0, 1, 2, 3, 4],
        counts: [1, 2, 0, 1]
      })
    })
  )

  it.live("of counts has at most 4,096 of them, and one edge more (J5.11)", () =>
    Effect.gen(function* () {
      const of = (count: number, edges = count + 1) => ({
        edges: Array.from({ length: edges }, (_, i) => i),
        counts: Array.from({ length: count }, () => 1)
      })
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logHistogram("most", of(histogramCountsMax))
          yield* Tracker.logHistogram("more", of(histogramCountsMax + 1))
          yield* Tracker.logHistogram("edges", of(2, 2))
          yield* Tracker.logHistogram("order", { edges: [1, 0], counts: [1] })
          yield* Tracker.logHistogram("nan", { edges: [0, NaN], counts: [1] })
          yield* Tracker.logHistogram("empty", [])
        })
      )
      assert.deepStrictEqual(
        only(captured, "Media").map(({ name }) => name),
        ["most"]
      )
      assert.strictEqual(captured.said.length, 5)
    })
  )
})

describe("A table", () => {
  it.live("is columns and an array a row, in whatever shape it came", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logTable("rows", [
            { a: 1, b: "x" },
            { b: "y", c: null }
          ])
          yield* Tracker.logTable("columns", { a: [1, 2], b: ["x"] })
          yield* Tracker.logTable("split", { columns: ["a"], data: [[NaN]] })
          yield* Tracker.logTable("torn", { columns: ["a"], data: [[1, 2]] })
          yield* Tracker.logTable("none", untyped("text"))
        })
      )
      const media = only(captured, "Media")
      const tables = yield* Effect.forEach(media, ({ digest }) => Effect.map(captured.blob(digest), json))
      assert.deepStrictEqual(tables, [
        {
          columns: ["a", "b", "c"],
          data: [
            [1, "x", null],
            [null, "y", null]
          ]
        },
        {
          columns: ["a", "b"],
          data: [
            [1, "x"],
            [2, null]
          ]
        },
        { columns: ["a"], data: [["NaN"]] }
      ])
      assert.strictEqual(captured.said.length, 1)
    })
  )
})

describe("A figure", () => {
  it.live("is known by what it begins with", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logFigure(
            "svg",
            '<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'
          )
          yield* Tracker.logFigure("html", "<!DOCTYPE html><html><svg/></html>")
          yield* Tracker.logFigure("png", png)
          yield* Tracker.logFigure("plotly", { data: [{ y: [1, 2] }], layout: {} })
          yield* Tracker.logFigure("text", "nothing")
        })
      )
      assert.deepStrictEqual(
        only(captured, "Media").map(({ name, kind, mediaType }) => [name, kind, mediaType]),
        [
          ["svg", "figure", "image/svg+xml"],
          ["html", "figure", "text/html"],
          ["png", "figure", "image/png"],
          ["plotly", "figure", "application/vnd.plotly.v1+json"]
        ]
      )
      assert.strictEqual(captured.said.length, 1)
    })
  )
})
