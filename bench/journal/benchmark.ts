/** How fast a trainer's journal is read, and how fast it reaches the local store. See README.md beside it. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { crc32 } from "node:zlib"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import { Backend } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import { deliver } from "@tracelet/core/Pipeline"
import { RunId } from "@tracelet/core/Run"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { interleave, printHead, printRow } from "../harness.ts"

const points = 1_000_000
const dir = mkdtempSync(join(tmpdir(), "tracelet-bench-"))
process.on("exit", () => rmSync(dir, { recursive: true, force: true }))

/** A million points of one series, each a record of its own, as `log_metric` in a loop writes them. */
const record = (): RunId => {
  const code = `
import tracelet
run = tracelet.start_logging(exp_name="bench", project="bench", backend="local")
for i in range(${points}): run.log_metric("loss", 0.5, i)
print(run.id)
tracelet.stop_logging()`
  const python = process.env["TRACELET_PYTHON"] ?? "python3"
  const env = {
    ...process.env,
    TRACELET_DIR: dir,
    TRACELET_AGENT: "off",
    PYTHONPATH: join(import.meta.dirname, "../../packages/bridge-python/python/src")
  }
  return RunId.make(
    execFileSync(python, ["-c", code], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  )
}

const run = record()
const layer = Journal.layerFile({ dir }).pipe(Layer.provide(NodePlatform.layer))
const limits = { points: 65_536, bytes: 1_000_000 }

const inRun = <A, E>(use: (journal: Journal.Journal["Service"]) => Effect.Effect<A, E>): Promise<A> =>
  Journal.Journal.use(use).pipe(Effect.provide(layer), Effect.runPromise)

/** Millions of points a second, given that `work` handled all of them. */
const rate = async (work: () => Promise<number>): Promise<number> => {
  const from = performance.now()
  const handled = await work()
  if (handled !== points) throw new Error(`${handled} of ${points} points`)
  return points / 1_000 / (performance.now() - from)
}

const ingest = () =>
  inRun((journal) =>
    Effect.scoped(
      Effect.gen(function* () {
        const opened = yield* journal.open(run)
        const reader = yield* opened.reader(new Map(), limits)
        let count = 0
        for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
          for (const event of batch.events) if (event._tag === "PointBatch") count += event.count
        }
        return count
      })
    )
  )

/** The least any reader has to do: the bytes, and a checksum a record. */
const checksums = async (): Promise<number> => {
  let count = 0
  const folder = join(dir, "runs", run, "journal")
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".tlj"))) {
    const bytes = readFileSync(join(folder, name))
    for (let at = bytes.readUInt32LE(12); at + 8 <= bytes.length;) {
      const length = bytes.readUInt32LE(at)
      if (length === 0) break
      crc32(bytes.subarray(at + 8, at + 8 + length), 1)
      if (bytes.readUInt32LE(at + 8) === 1) count++
      at += 8 + Math.ceil(length / 8) * 8
    }
  }
  return count
}

let stores = 0
const endToEnd = () =>
  inRun((journal) =>
    Effect.scoped(
      Effect.gen(function* () {
        const opened = yield* journal.open(run)
        const started = yield* opened.started
        if (started === undefined) return 0
        const file = join(dir, `store${stores++}.db`)
        const backend = Context.get(yield* Layer.build(LocalBackend.layer({ file })), Backend)
        const target = { backend, route: undefined, processors: [], permits: yield* Semaphore.make(1) }
        const delivery = yield* deliver(opened, started, new Map([["local", target]]))
        if (delivery === undefined) return 0
        yield* delivery.wake
        yield* delivery.settled
        const standing = (yield* delivery.backends).get("local")
        return standing?.state === "done" ? standing.delivered : 0
      })
    )
  )

/** What a store with a row a point does: one prepared insert, a transaction of 512 rows. */
const rows = async (): Promise<number> => {
  const file = join(dir, `rows${stores++}.db`)
  const db = new DatabaseSync(file)
  db.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE point (series INT, step INT, value REAL, time REAL, PRIMARY KEY (series, step)) WITHOUT ROWID"
  )
  const insert = db.prepare("INSERT INTO point VALUES (0, ?, ?, ?)")
  for (let i = 0; i < points;) {
    db.exec("BEGIN")
    for (const end = Math.min(points, i + 512); i < end; i++) insert.run(i, 0.5, 1.79e9)
    db.exec("COMMIT")
  }
  db.close()
  return points
}

printHead()
printRow(
  "journal ingest: a Python trainer's segments to columns",
  "M points/s",
  await interleave([
    { name: "reader", measure: () => rate(ingest) },
    { name: "reading the bytes with one native checksum a record", measure: () => rate(checksums) }
  ]),
  "≥ 1"
)
printRow(
  "local store, end to end: a Python trainer's segments to SQLite, confirmed and closed",
  "M points/s",
  await interleave([
    { name: "delivery", measure: () => rate(endToEnd) },
    { name: "SQLite inserts of a row a point, no journal", measure: () => rate(rows) }
  ]),
  "≥ 0.3"
)
