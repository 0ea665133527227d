/**
 * A run's points as a table, one row each: name, context as JSON with its keys sorted, step, value, time in seconds. Rows stand in the order of
 * the JSON lines: by series, then in the order logged. As CSV (RFC 4180), and as Parquet, both in pieces, so that memory stays bounded.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { zstdCompressSync } from "node:zlib"
import type { ParquetWriter } from "hyparquet-writer"
import { LocalReader, type Columns } from "@tracelet/backend-local/LocalReader"
import type { BackendError } from "@tracelet/core/BackendError"
import { sortedContext } from "./ExportLines.ts"
import * as Json from "./Json.ts"

/** Consecutive points of one series. */
interface Block {
  readonly name: string
  readonly context: string
  readonly columns: Columns
}

const blocks = (run: string): Stream.Stream<Block, BackendError, LocalReader> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const reader = yield* LocalReader
      return Stream.fromIterable(yield* reader.series(run)).pipe(
        Stream.flatMap(({ id, name, context }) => {
          const json = Json.stringify(sortedContext(context))
          return Stream.map(reader.pointColumns(run, id), (columns): Block => ({ name, context: json, columns }))
        })
      )
    })
  )

const columnNames = ["name", "context", "step", "value", "time"] as const

// ---- CSV ----

/** Values that are no number in some readers are the words `NaN`, `Infinity` and `-Infinity`; `-0` is written so. */
export const csv = (run: string): Stream.Stream<string, BackendError, LocalReader> =>
  Stream.concat(Stream.succeed(`${columnNames.join(",")}\r\n`), Stream.map(blocks(run), csvLines))

const csvLines = ({ name, context, columns }: Block): string => {
  const prefix = `${csvField(name)},${csvField(context)},`
  const { count, steps, values, times } = columns
  let text = ""
  for (let i = 0; i < count; i++) {
    const value = values[i] ?? NaN
    text += `${prefix}${steps[i]},${Object.is(value, -0) ? "-0" : value},${times[i]}\r\n`
  }
  return text
}

/** Quoted where it has to be. */
const csvField = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

// ---- Parquet ----

/** Rows that are compressed together: 10 MB of columns, and few enough that a reader can skip some. */
export const groupRowsMax = 131_072

type Schema = ConstructorParameters<typeof ParquetWriter>[0]["schema"]

const schema: Schema = [
  { name: "run", num_children: columnNames.length },
  { name: "name", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
  { name: "context", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
  { name: "step", type: "INT64", repetition_type: "REQUIRED" },
  { name: "value", type: "DOUBLE", repetition_type: "REQUIRED" },
  { name: "time", type: "DOUBLE", repetition_type: "REQUIRED" }
]

/** Rows waiting to be a group. */
class Group {
  private names: Array<string> = []
  private contexts: Array<string> = []
  private readonly steps = new BigInt64Array(groupRowsMax)
  private readonly values = new Float64Array(groupRowsMax)
  private readonly times = new Float64Array(groupRowsMax)

  get count(): number {
    return this.names.length
  }

  /** Takes rows from `from` on; answers how many there was room for. */
  add({ name, context, columns }: Block, from: number): number {
    const at = this.count
    const taken = Math.min(groupRowsMax - at, columns.count - from)
    for (let i = 0; i < taken; i++) {
      this.names.push(name)
      this.contexts.push(context)
      this.steps[at + i] = BigInt(columns.steps[from + i] ?? 0)
    }
    this.values.set(columns.values.subarray(from, from + taken), at)
    this.times.set(columns.times.subarray(from, from + taken), at)
    return taken
  }

  /** The rows as columns; none are left. Dictionaries take −0 for 0, so numbers are plain. */
  take() {
    const { count, names, contexts } = this
    this.names = []
    this.contexts = []
    const numbers = { encoding: "PLAIN" } as const
    return [
      { name: "name", data: names },
      { name: "context", data: contexts },
      { name: "step", data: this.steps.slice(0, count), ...numbers },
      { name: "value", data: this.values.slice(0, count), ...numbers },
      { name: "time", data: this.times.slice(0, count), ...numbers }
    ]
  }
}

/** `step` is int64, `value` and `time` are float64, all bits kept; compressed with zstd. */
export const parquet = (run: string): Stream.Stream<Uint8Array, BackendError, LocalReader> =>
  Stream.unwrap(
    Effect.gen(function* () {
      // No other command needs it.
      const { ByteWriter, ParquetWriter: Writer } = yield* Effect.promise(() => import("hyparquet-writer"))
      const bytes = new ByteWriter()
      const writer = new Writer({
        writer: bytes,
        schema,
        codec: "ZSTD",
        compressors: { ZSTD: (data) => new Uint8Array(zstdCompressSync(data)) },
        createdBy: "tracelet"
      })
      const group = new Group()
      /** What was written since the last call; offsets count on. */
      const drain = (): Uint8Array => {
        const piece = bytes.getBytes().slice()
        bytes.index = 0
        return piece
      }
      const close = () => {
        if (group.count > 0) void writer.write({ columnData: group.take(), rowGroupSize: groupRowsMax })
      }
      const rows = blocks(run).pipe(
        Stream.map((block) => {
          for (let at = 0; at < block.columns.count;) {
            at += group.add(block, at)
            if (group.count === groupRowsMax) close()
          }
          return drain()
        }),
        Stream.filter((piece) => piece.length > 0)
      )
      const end = Effect.sync(() => {
        close()
        void writer.finish()
        return drain()
      })
      return Stream.concat(rows, Stream.fromEffect(end))
    })
  )
