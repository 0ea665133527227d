/** The tables as docs/spec/store-schema.md has them, read by another connection than ours. */
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Backend, type BackendRun } from "@tracelet/core/Backend"
import type { RunEvent } from "@tracelet/core/RunEvent"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import * as LocalStore from "@tracelet/backend-local/LocalStore"
import { batch, cut, openRun, points, positionOf, series } from "./batches.ts"
import { temporary } from "./temporary.ts"

const loss = series("loss", { subset: "val", rank: 3 })
const values = [NaN, Infinity, -Infinity, -0, 0.1]

const log: ReadonlyArray<RunEvent> = [
  points(
    0,
    values.map((value, i) => ({ series: loss, step: i - 2, value, time: 100 + i }))
  ),
  {
    _tag: "Media",
    time: 7,
    name: "weights",
    context: {},
    step: 0,
    kind: "histogram",
    mediaType: "application/json",
    digest: `sha256:${"0".repeat(64)}`,
    bytes: 1,
    edges: [-0, 1],
    counts: [5],
    position: positionOf(1)
  }
]

/** The database after `write`; open for as long as the scope is. */
const after = (write: (run: BackendRun) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const file = join(yield* temporary, "store.db")
    const context = LocalBackend.layer({ file })
    const run = yield* Effect.flatMap(Backend, (backend) => backend.open(openRun())).pipe(Effect.provide(context))
    yield* write(run)
    return yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(file, { readOnly: true })),
      (database) => Effect.sync(() => database.close())
    )
  })

const row = (database: DatabaseSync, sql: string) => database.prepare(sql).get() ?? {}

/** Columns of float64, each of as many as there are points, and their uint32 streams where there is room for them. */
const columnsOf = (blob: unknown, count: number) => {
  assert.instanceOf(blob, Uint8Array)
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  const column = (number: number) =>
    Array.from({ length: count }, (_, i) => view.getFloat64(8 * (number * count + i), true))
  const streams = Array.from({ length: count }, (_, i) =>
    24 * count + 4 * i < blob.byteLength ? view.getUint32(24 * count + 4 * i, true) : undefined
  )
  return { bytes: blob.byteLength, steps: column(0), values: column(1), times: column(2), streams }
}

const closed = (run: BackendRun) =>
  Effect.andThen(run.write(batch("w", log, 0, 2)), run.close({ status: "finished", endedAt: 9 }))

describe("the store's file", () => {
  it.effect("is an SQLite database in WAL mode that says whose it is (S1.1)", () =>
    Effect.gen(function* () {
      const database = yield* after(closed)
      assert.deepInclude(row(database, "PRAGMA journal_mode"), { journal_mode: "wal" })
      assert.deepInclude(row(database, "PRAGMA application_id"), { application_id: 0x746c6574 })
      assert.deepInclude(row(database, "PRAGMA user_version"), { user_version: 3 })
    }).pipe(Effect.scoped)
  )

  it.effect("is written with synchronous NORMAL: a power cut undoes whole transactions, and no more (S1.3)", () =>
    Effect.gen(function* () {
      const store = yield* LocalStore.make({ file: join(yield* temporary, "store.db") })
      const read = (pragma: string) =>
        store.read(`read ${pragma}`, (connection) => connection.prepare(`PRAGMA ${pragma}`).get())
      assert.deepInclude(yield* read("synchronous"), { synchronous: 1 })
      assert.deepInclude(yield* read("journal_mode"), { journal_mode: "wal" })
    }).pipe(Effect.scoped)
  )
})

describe("the tables", () => {
  it.effect("have the first position that is not confirmed, and how many points of its record are (S2.3)", () =>
    Effect.gen(function* () {
      const part = cut("w", log, { position: 0, index: 0 }, { position: 0, index: 3 })
      const database = yield* after((run) => run.write(part))
      assert.deepInclude(row(database, "SELECT * FROM mark"), { writer: "w", position: 0, point: 3 })
      const whole = yield* after(closed)
      assert.deepInclude(row(whole, "SELECT * FROM mark"), { writer: "w", position: positionOf(2), point: 0 })
    }).pipe(Effect.scoped)
  )

  it.effect("have a series' context as given, and in its key with sorted keys (S2.4)", () =>
    Effect.gen(function* () {
      const database = yield* after(closed)
      // SQL's own functions would stop at the NUL; what is read does not.
      assert.deepInclude(row(database, "SELECT * FROM series"), {
        name: "loss",
        context: `{"subset":"val","rank":3}`,
        key: `loss\u0000{"rank":3,"subset":"val"}`
      })
    }).pipe(Effect.scoped)
  )

  it.effect("have everything else as JSON that keeps -0, by its kind (S2.7)", () =>
    Effect.gen(function* () {
      const { kind, payload } = row(yield* after(closed), "SELECT * FROM event")
      assert.strictEqual(kind, "Media")
      assert.include(String(payload), `"edges":[-0,1]`)
      assert.deepInclude(JSON.parse(String(payload)), { name: "weights", kind: "histogram", counts: [5] })
    }).pipe(Effect.scoped)
  )

  it.effect("have a batch's points in 28 bytes each, with their streams (S3.1), and no summary yet (S3.5)", () =>
    Effect.gen(function* () {
      const database = yield* after((run) => run.write(batch("w", log, 0, 2)))
      const { stream, summary } = row(database, "SELECT * FROM stream")
      assert.isNull(summary)
      assert.deepStrictEqual(columnsOf(row(database, "SELECT * FROM tail")["columns"], 5), {
        bytes: 5 * 28,
        steps: [-2, -1, 0, 1, 2],
        values,
        times: [100, 101, 102, 103, 104],
        streams: Array.from({ length: 5 }, () => stream)
      })
    }).pipe(Effect.scoped)
  )

  it.effect("have a chunk's points in 24 bytes each, bit for bit (S3.2), and in SQL what finds them (S3.4)", () =>
    Effect.gen(function* () {
      const found = row(yield* after(closed), "SELECT * FROM chunk")
      const { bytes, steps, values: kept, times } = columnsOf(found["columns"], 5)
      assert.deepStrictEqual([bytes, steps, times], [5 * 24, [-2, -1, 0, 1, 2], [100, 101, 102, 103, 104]])
      for (const [i, value] of values.entries()) assert.isTrue(Object.is(kept[i], value), String(value))
      assert.deepInclude(found, {
        points: 5,
        nans: 1,
        step_min: -2,
        step_max: 2,
        value_min: -Infinity,
        value_max: Infinity,
        value_first: null,
        value_last: 0.1
      })
      const zero: ReadonlyArray<RunEvent> = [points(0, [{ series: loss, step: 0, value: -0, time: 1 }])]
      const negative = yield* after((run) =>
        Effect.andThen(run.write(batch("w", zero, 0, 1)), run.close({ status: "finished", endedAt: 9 }))
      )
      assert.isTrue(Object.is(row(negative, "SELECT * FROM chunk")["value_last"], 0))
    }).pipe(Effect.scoped)
  )

  it.effect("have a stream's summary of its chunks in nine float64 (S3.5)", () =>
    Effect.gen(function* () {
      const { summary } = row(yield* after(closed), "SELECT * FROM stream")
      assert.instanceOf(summary, Uint8Array)
      assert.strictEqual(summary.byteLength, 72)
      const view = new DataView(summary.buffer, summary.byteOffset, summary.byteLength)
      assert.deepStrictEqual(
        Array.from({ length: 9 }, (_, i) => view.getFloat64(8 * i, true)),
        [5, 1, -Infinity, Infinity, 100, 104, 2, 0.1, 104]
      )
    }).pipe(Effect.scoped)
  )
})
