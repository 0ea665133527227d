/**
 * How fast the local store takes points in, and how fast it gives them back, beside a plain table with a row a point in the same process
 * and rounds. See README.md beside it.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Backend, openAlone, type Batch } from "@tracelet/core/Backend"
import { RunId } from "@tracelet/core/Run"
import { runStarted, type PointBatch } from "@tracelet/core/RunEvent"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import * as LocalReader from "@tracelet/backend-local/LocalReader"

const rounds = Number(process.env["ROUNDS"] ?? 7)
const million = 1_000_000

interface Workload {
  readonly name: string
  readonly points: number
  readonly batchPoints: number
  readonly series: number
}

const workloads: ReadonlyArray<Workload> = [
  { name: "1 series, batches of 512", points: million / 4, batchPoints: 512, series: 1 },
  { name: "1 series, batches of 2,048", points: million, batchPoints: 2_048, series: 1 },
  { name: "20 series, batches of 20", points: million / 10, batchPoints: 20, series: 20 },
  { name: "1,000 series, batches of 2,048", points: million / 4, batchPoints: 2_048, series: 1_000 },
  { name: "20,000 series × 10", points: million / 5, batchPoints: 2_048, series: 20_000 },
  // Takes a while: only when it is asked for by name.
  { name: "100,000 series × 10", points: million, batchPoints: 2_048, series: 100_000 }
]

const valueOf = (i: number): number => Math.sin(i / 1_000) + (i === 123_456 ? 1_000 : 0)

const makeBatches = ({ batchPoints, points, series }: Workload): ReadonlyArray<Batch> => {
  const table = new Map(Array.from({ length: series }, (_, i) => [i, { name: `metric/${i}`, context: {} }]))
  const batches: Array<Batch> = []
  for (let from = 0; from < points; from += batchPoints) {
    const count = Math.min(batchPoints, points - from)
    const column = (f: (i: number) => number) => Float64Array.from({ length: count }, (_, i) => f(from + i))
    const events: PointBatch = {
      _tag: "PointBatch",
      count,
      series: Uint32Array.from({ length: count }, (_, i) => (from + i) % series),
      steps: column((i) => Math.floor(i / series)),
      values: column(valueOf),
      times: column((i) => 1_790_000_000 + i / 1_000),
      positions: column((i) => i * 40),
      indices: new Uint16Array(count),
      table
    }
    batches.push({
      writer: "w",
      from: { position: from * 40, index: 0 },
      to: { position: (from + count) * 40, index: 0 },
      events: [events],
      filtered: 0,
      rejected: 0
    })
  }
  return batches
}

const started = runStarted(RunId.make("a".repeat(32)), { time: 1_790_000_000, project: "bench", name: "bench" })

interface Measured {
  readonly write: number
  readonly tail10k: number
  readonly summary: number
  readonly sampled: number
}

/** Milliseconds that an effect takes. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (result) => [performance.now() - start, result] as const)
  })

const measureStore = (folder: string, workload: Workload, batches: ReadonlyArray<Batch>) => {
  const file = join(folder, "store.db")
  return Effect.gen(function* () {
    const backend = yield* Backend
    const reader = yield* LocalReader.LocalReader
    const open = yield* backend.open(openAlone(started))
    const [write] = yield* timed(
      Effect.gen(function* () {
        for (const batch of batches) yield* open.write(batch)
        yield* open.close({ status: "finished", endedAt: 1_790_001_000 })
      })
    )
    const [summary, series] = yield* timed(reader.series(started.run.id))
    const stored = series.reduce((sum, { points }) => sum + points, 0)
    if (stored !== workload.points || series.length !== workload.series) throw new Error(`stored ${stored} points`)
    const id = series[0]?.id ?? -1
    const [tail10k, last] = yield* timed(reader.points(started.run.id, id, { fromStep: workload.points - 10_000 }))
    const [sampled, chart] = yield* timed(reader.points(started.run.id, id, { buckets: 200 }))
    if (workload.series === 1 && last.count !== 10_000) throw new Error(`read ${last.count} points`)
    if (workload.series === 1 && Math.max(...chart.values) < 999) throw new Error("the spike is gone")
    return { write, tail10k, summary, sampled } satisfies Measured
  }).pipe(Effect.provide(Layer.merge(LocalBackend.layer({ file }), LocalReader.layer({ file }))))
}

/** A row a point, one prepared statement, a transaction a batch, the same pragmas. */
const measureRows = (folder: string, workload: Workload, batches: ReadonlyArray<Batch>): Measured => {
  const database = new DatabaseSync(join(folder, "rows.db"))
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;
    CREATE TABLE point (series INTEGER, step INTEGER, n INTEGER, value REAL, time REAL,
      PRIMARY KEY (series, step, n)) WITHOUT ROWID`)
  const insert = database.prepare("INSERT INTO point VALUES (?, ?, ?, ?, ?)")
  const clock = <A>(work: () => A): readonly [number, A] => {
    const start = performance.now()
    const result = work()
    return [performance.now() - start, result]
  }
  let n = 0
  const [write] = clock(() => {
    for (const { events } of batches) {
      database.exec("BEGIN IMMEDIATE")
      for (const event of events) {
        if (event._tag !== "PointBatch") continue
        for (let i = 0; i < event.count; i++) {
          insert.run(event.series[i] ?? 0, event.steps[i] ?? 0, n++, event.values[i] ?? 0, event.times[i] ?? 0)
        }
      }
      database.exec("COMMIT")
    }
  })
  const all = (sql: string, ...values: ReadonlyArray<number>) => clock(() => database.prepare(sql).all(...values))
  const [tail10k] = all("SELECT step, value, time FROM point WHERE series = 0 AND step >= ?", workload.points - 10_000)
  const [summary] = all("SELECT series, count(*), min(value), max(value) FROM point GROUP BY series")
  const [sampled] = all(
    "SELECT step / ? AS bucket, min(value), max(value) FROM point WHERE series = 0 GROUP BY bucket",
    Math.max(1, Math.ceil(workload.points / workload.series / 200))
  )
  database.close()
  return { write, tail10k, summary, sampled }
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

const report = (name: string, who: string, points: number, results: ReadonlyArray<Measured>): void => {
  const of = (pick: (m: Measured) => number) => median(results.map(pick))
  const rate = Math.round(points / of(({ write }) => write))
  const ms = (value: number) => value.toFixed(1).padStart(8)
  console.log(
    `${name.padEnd(32)} ${who.padEnd(8)} ${String(rate).padStart(6)} k/s ${ms(of((m) => m.summary))} ${ms(of((m) => m.tail10k))} ${ms(of((m) => m.sampled))}`
  )
}

console.log(`node ${process.version}, ${cpus()[0]?.model ?? "?"} × ${cpus().length}, median of ${rounds} rounds`)
console.log(`${"".padEnd(42)} write   summary ms  10 k ms  chart ms`)
const wanted = process.argv[2]
for (const workload of workloads) {
  if (wanted === undefined ? workload.series > 20_000 : !workload.name.startsWith(wanted)) continue
  const batches = makeBatches(workload)
  const store: Array<Measured> = []
  const rows: Array<Measured> = []
  for (let round = 0; round < rounds; round++) {
    const folder = mkdtempSync(join(tmpdir(), "tracelet-bench-"))
    try {
      store.push(await Effect.runPromise(Effect.scoped(measureStore(folder, workload, batches))))
      rows.push(measureRows(folder, workload, batches))
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
  report(workload.name, "store", workload.points, store)
  report("", "rows", workload.points, rows)
}
