import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { zstdDecompressSync } from "node:zlib"
import { parquetMetadata, parquetRead } from "hyparquet"
import type { JournalWriter } from "@tracelet/core/Journal"
import { groupRowsMax } from "../src/ExportPoints.ts"
import * as Json from "../src/Json.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { write, writeEnded } from "./support/runs.ts"

const digest = `sha256:${"ab".repeat(32)}`
const id = "aa11".padEnd(32, "0")

const special = [0, -0, 1.5, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 0.1 + 0.2, 1e21, -1e-7]

/** One of everything, with what JSON has no form for. */
const everything = (writer: JournalWriter, startedAt: number): void => {
  writer.event({
    _tag: "Params",
    time: startedAt,
    params: JSON.parse('{"b":-0,"a":{"nested":[1,"NaN",null]},"__proto__":"kept","ü":"\\u2028"}')
  })
  writer.event({ _tag: "Tags", time: startedAt, tags: { z: "late", demo: "" } })
  for (const [i, value] of special.entries()) writer.point("loss", value, i, undefined, startedAt + i / 8)
  writer.point("loss", 1, -5, undefined, startedAt + 10)
  writer.point("loss", 2, -5, undefined, startedAt + 10)
  writer.point("loss", 3, 9_007_199_254_740_991, { subset: "val", rank: 1 }, startedAt)
  writer.point("loss", 4, 0, { rank: 0, subset: "val" }, startedAt)
  writer.point('a"b\n', 5, 0, undefined, startedAt)
  const place = { name: "sample", context: {}, step: 3 }
  writer.event({ _tag: "Console", time: startedAt + 4, stream: "stderr", text: "warn\u0000\n" })
  writer.event({ _tag: "Text", time: startedAt + 3, ...place, text: "héllo" })
  writer.event({
    _tag: "Artifact",
    time: startedAt + 2,
    name: "model",
    type: "model",
    files: [{ path: "a/b.bin", digest, bytes: 5 }],
    references: ["s3://x"]
  })
  writer.event({
    _tag: "Media",
    time: startedAt + 1,
    ...place,
    kind: "image",
    mediaType: "image/png",
    digest,
    bytes: 9
  })
  writer.event({
    _tag: "Media",
    time: startedAt + 5,
    ...place,
    kind: "histogram",
    mediaType: "application/json",
    digest,
    bytes: 9,
    edges: [0, 0.5, 1],
    counts: [2, 3]
  })
}

const lines = (text: string): ReadonlyArray<string> => text.split("\n").slice(0, -1)

const back = (value: unknown): unknown => (typeof value === "string" ? Number(value) : value)

describe("tracelet export", () => {
  it.live("prints everything once, in the order of the contract", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, tags: { start: "1" }, log: everything })
        const { code, out, err } = yield* tracelet(dir, ["export", "baseline", "--format", "jsonl", "--dir", "."])
        assert.strictEqual(err, "")
        assert.strictEqual(code, 0)
        yield* golden("export", out)
        assert.isTrue(lines(out).every((line) => JSON.parse(line) !== undefined))
      })
    )
  )

  it.live("keeps every value bit for bit", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: everything })
        const { out } = yield* tracelet(dir, ["export", id, "--dir", "."])
        const values = lines(out)
          .map((line) => JSON.parse(line))
          .filter(({ kind, name, context }) => kind === "point" && name === "loss" && context.rank === undefined)
          .map(({ value }) => back(value))
        assert.strictEqual(values.length, special.length + 2)
        for (const [i, value] of special.entries()) assert.isTrue(Object.is(values[i], value), String(value))
      })
    )
  )

  it.live("takes no empty name of a file", () =>
    Effect.gen(function* () {
      const { code, out, err } = yield* tracelet("/", ["export", id, "--output", ""])
      assert.deepStrictEqual([code, out], [2, ""])
      assert.strictEqual(err, "tracelet: --output names no file. Leave it out to print on stdout.\n")
    })
  )

  it.live("writes a file that appears when it is whole", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: everything })
        const printed = yield* tracelet(dir, ["export", id, "--dir", "."])
        const written = yield* tracelet(dir, ["export", id, "--output", "run.jsonl", "--dir", "."])
        assert.deepStrictEqual(written, { code: 0, out: "", err: "" })
        assert.strictEqual(readFileSync(join(dir, "run.jsonl"), "utf8"), printed.out)
        const failed = yield* tracelet(dir, ["export", id, "--output", "no/such/folder.jsonl", "--dir", ".", "--json"])
        assert.strictEqual(failed.code, 1)
        assert.strictEqual(JSON.parse(failed.out).error.tag, "OutputError")
        assert.deepStrictEqual(
          readdirSync(dir).filter((name) => name.includes("jsonl")),
          ["run.jsonl"]
        )
      })
    )
  )

  it.live("merges what several writers logged by time", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const say = (from: number) => (writer: JournalWriter) => {
          for (let i = from; i < 2_000; i += 2) {
            writer.event({ _tag: "Console", time: now + i, stream: "stdout", text: String(i) })
            writer.event({ _tag: "Text", time: now + i + 0.5, name: "t", context: {}, step: i, text: "" })
          }
        }
        yield* writeEnded(dir, { id, log: say(0) })
        yield* writeEnded(dir, { id, log: say(1) })
        const { out } = yield* tracelet(dir, ["export", id, "--dir", "."])
        const times = lines(out)
          .map((line) => JSON.parse(line))
          .filter(({ kind }) => kind === "console" || kind === "text")
          .map(({ time }) => time)
        assert.strictEqual(times.length, 4_000)
        assert.deepStrictEqual(
          times,
          times.toSorted((a, b) => a - b)
        )
      })
    )
  )
})

interface Row {
  readonly name: string
  readonly context: string
  readonly step: bigint
  readonly value: number
  readonly time: number
}

/** All rows of a Parquet file, by another reader than the writer's. */
const parquetRows = (bytes: Uint8Array) =>
  Effect.promise(async () => {
    const file = new Uint8Array(bytes).buffer
    const rows: Array<Row> = []
    await parquetRead({
      file,
      rowFormat: "object",
      compressors: { ZSTD: (data) => new Uint8Array(zstdDecompressSync(data)) },
      onComplete: (all) => {
        for (const { name, context, step, value, time } of all) rows.push({ name, context, step, value, time })
      }
    })
    return {
      rows,
      schema: parquetMetadata(file)
        .schema.slice(1)
        .map(({ name, type }) => [name, type])
    }
  })

describe("tracelet export --format csv", () => {
  it.live("prints the points, one row each, quoted as RFC 4180 has it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: everything })
        const { code, out, err } = yield* tracelet(dir, ["export", "baseline", "--format", "csv", "--dir", "."])
        assert.deepStrictEqual([code, err], [0, ""])
        assert.isTrue(out.endsWith("\r\n"))
        yield* golden("export-csv", out.replaceAll("\r\n", "\\r\\n\n"))
      })
    )
  )
})

describe("tracelet export --format parquet", () => {
  it.live("keeps every point bit for bit, beyond one group of rows, in a file and in a pipe", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const count = groupRowsMax + 10
        yield* writeEnded(dir, {
          id,
          log: (writer, startedAt) => {
            everything(writer, startedAt)
            for (let i = 0; i < count; i++) writer.point("z", i % 7 === 0 ? -0 : i, i - 5, { rank: 0 }, startedAt + i)
          }
        })
        const { code, out, err } = yield* tracelet(dir, [
          "export",
          id,
          "--format",
          "parquet",
          "-o",
          "r.parquet",
          "--dir",
          "."
        ])
        assert.deepStrictEqual([code, out, err], [0, "", ""])
        const { rows, schema } = yield* parquetRows(readFileSync(join(dir, "r.parquet")))
        assert.deepStrictEqual(schema, [
          ["name", "BYTE_ARRAY"],
          ["context", "BYTE_ARRAY"],
          ["step", "INT64"],
          ["value", "DOUBLE"],
          ["time", "DOUBLE"]
        ])
        assert.strictEqual(rows.length, special.length + 5 + count)
        const plain = rows.filter(({ name, context }) => name === "loss" && context === "{}")
        for (const [i, value] of special.entries()) assert.isTrue(Object.is(plain[i]?.value, value), String(value))
        const far = rows.find(({ context }) => context === '{"rank":1,"subset":"val"}')
        assert.strictEqual(far?.step, 9_007_199_254_740_991n)
        const long = rows.filter(({ name }) => name === "z")
        const isRight = long.every(
          ({ step, value, context }, i) =>
            step === BigInt(i - 5) && Object.is(value, i % 7 === 0 ? -0 : i) && context === '{"rank":0}'
        )
        assert.isTrue(isRight)
        const piped = yield* tracelet(dir, ["export", id, "--format", "parquet", "--dir", "."])
        assert.isTrue(Buffer.from(piped.out, "latin1").equals(readFileSync(join(dir, "r.parquet"))))
      })
    )
  )

  it.live("has no rows for a run without points, and is not for a terminal", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        const piped = yield* tracelet(dir, ["export", id, "--format", "parquet", "--dir", "."])
        assert.deepStrictEqual((yield* parquetRows(Buffer.from(piped.out, "latin1"))).rows, [])
        const typed = yield* tracelet(dir, ["export", id, "--format", "parquet", "--dir", "."], { columns: 80 })
        assert.deepStrictEqual([typed.code, typed.out], [2, ""])
        assert.include(typed.err, "Add --output FILE")
      })
    )
  )
})

describe("tracelet export of a running run", () => {
  it.live("has what there is so far, and says so", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* write(dir, { id, end: undefined, log: (writer) => writer.point("loss", 1, 0, undefined, now) })
        const { code, out, err } = yield* tracelet(dir, ["export", id, "--format", "csv", "--dir", "."])
        assert.deepStrictEqual([code, lines(out).length], [0, 2])
        assert.strictEqual(err, "tracelet: baseline is running: this is what it has logged so far.\n")
      })
    )
  )
})

describe("JSON text", () => {
  it.effect.prop("is what JSON.parse reads back, but for numbers that it has no form for", [Schema.Json], ([value]) =>
    Effect.sync(() => {
      assert.deepStrictEqual(JSON.parse(Json.stringify(value)), value)
      assert.deepStrictEqual(JSON.parse(Json.stringify(value, 2)), value)
    })
  )

  it("has a form for every number", () => {
    const texts = [-0, NaN, Infinity, -Infinity, 1e21, 5e-324].map(Json.numberText)
    assert.deepStrictEqual(texts, ["-0", '"NaN"', '"Infinity"', '"-Infinity"', "1e+21", "5e-324"])
  })
})
