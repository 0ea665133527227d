import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { Backend } from "@tracelet/core/Backend"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import * as Reader from "@tracelet/backend-local/LocalReader"
import * as LocalStore from "@tracelet/backend-local/LocalStore"
import { batch, openRun, points, renamed, runId, series, tags } from "./batches.ts"
import { temporary } from "./temporary.ts"

const record = (n: number, count = 2_000) =>
  points(
    n,
    Array.from({ length: count }, (_, i) => ({ series: series("loss"), step: n * count + i, value: i, time: n }))
  )

const build = (file: string) =>
  Layer.build(
    Layer.merge(LocalBackend.layerStore, Reader.layer({ file })).pipe(
      Layer.provideMerge(Layer.fresh(LocalStore.layer({ file })))
    )
  )

/** A store with 40,000 points, closed. */
const filled = (file: string) =>
  Effect.gen(function* () {
    const run = yield* Effect.flatMap(Backend, (backend) => backend.open(openRun()))
    const log = Array.from({ length: 20 }, (_, n) => record(n))
    yield* run.write(batch("w", log, 0, 20))
    yield* run.close({ status: "finished", endedAt: 9 })
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(LocalBackend.layer({ file }))))

describe("LocalStore", () => {
  it.effect("opens nothing before the first use, makes the folder, and keeps the file to its user", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "a", "store.db")
      const context = yield* build(file)
      assert.isFalse(existsSync(file))
      yield* Effect.flatMap(Backend, (backend) => backend.open(openRun())).pipe(Effect.provide(context))
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(statSync(`${file}-wal`).mode & 0o777, 0o600)
    }).pipe(Effect.scoped)
  )

  it.effect("leaves no log behind when it closes, though a reader has the file open", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      yield* filled(file)
      const reader = Context.get(yield* Layer.build(Reader.layer({ file })), Reader.LocalReader)
      yield* reader.runs()
      yield* Effect.gen(function* () {
        const run = yield* Effect.flatMap(Backend, (backend) => backend.open(openRun()))
        yield* run.write(batch("v", [record(0)], 0, 1))
        assert.isAbove(statSync(`${file}-wal`).size, 0)
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(LocalBackend.layer({ file }))))
      assert.strictEqual(statSync(`${file}-wal`).size, 0)
      assert.deepStrictEqual(
        (yield* reader.runs()).map(({ points: count }) => count),
        [42_000]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("keeps nothing of a write that the disk has no room for, and takes it when there is", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      const context = yield* build(file)
      yield* Effect.gen(function* () {
        const store = yield* LocalStore.LocalStore
        const reader = yield* Reader.LocalReader
        const run = yield* (yield* Backend).open(openRun())
        const log = Array.from({ length: 40 }, (_, n) => record(n))
        yield* run.write(batch("w", log, 0, 1))
        const limit = (pages: number) =>
          store.read("set a limit", (connection) => connection.database.exec(`PRAGMA max_page_count = ${pages}`))
        yield* limit(60)
        const refused = yield* Effect.flip(run.write(batch("w", log, 1, 40)))
        assert.strictEqual(refused.reason._tag, "Transient")
        assert.include(refused.message, "Could not write 39 events of run")
        assert.include(refused.message, "Make room")
        assert.strictEqual((yield* reader.find(runId)).points, 2_000)
        assert.deepStrictEqual((yield* reader.confirmed(runId))?.marks.get("w"), batch("w", log, 0, 1).to)
        yield* limit(1_000_000)
        yield* run.write(batch("w", log, 1, 40))
        assert.deepStrictEqual(
          (yield* reader.series(runId)).map((summary) => summary.points),
          [80_000]
        )
      }).pipe(Effect.provide(context))
    }).pipe(Effect.scoped)
  )

  it.effect("waits for another process's lock, without blocking, and says so after five seconds", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      const context = yield* build(file)
      yield* Effect.gen(function* () {
        const run = yield* (yield* Backend).open(openRun())
        const other = new DatabaseSync(file)
        other.exec("BEGIN IMMEDIATE")
        const waiting = yield* Effect.forkChild(Effect.flip(run.write(batch("w", [record(0)], 0, 1))), {
          startImmediately: true
        })
        yield* TestClock.adjust("10 seconds")
        const refused = yield* Fiber.join(waiting)
        assert.strictEqual(refused.reason._tag, "Transient")
        assert.include(refused.message, "Another process is writing")
        const patient = yield* Effect.forkChild(run.write(batch("w", [record(0)], 0, 1)), { startImmediately: true })
        yield* TestClock.adjust("100 millis")
        other.exec("ROLLBACK")
        other.close()
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual((yield* Fiber.join(patient)).rejected, [])
      }).pipe(Effect.provide(context))
    }).pipe(Effect.scoped)
  )

  it.effect("holds the lane when the file may not be written", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      yield* filled(file)
      const context = yield* build(file)
      yield* Effect.gen(function* () {
        const store = yield* LocalStore.LocalStore
        const run = yield* (yield* Backend).open(openRun())
        // What a read-only file answers; the tests may run as a user whom no mode stops.
        yield* store.read("forbid writing", (connection) => connection.database.exec("PRAGMA query_only = 1"))
        const refused = yield* Effect.flip(run.write(batch("v", [record(0)], 0, 1)))
        assert.strictEqual(refused.reason._tag, "Held")
        assert.include(refused.message, "right to write")
        assert.strictEqual((yield* (yield* Reader.LocalReader).find(runId)).points, 40_000)
      }).pipe(Effect.provide(context))
    }).pipe(Effect.scoped)
  )

  it.effect("holds the lane when the file is damaged or is no database, and says how to get it back", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const damaged = join(folder, "damaged.db")
      yield* filled(damaged)
      const bytes = readFileSync(damaged)
      bytes.fill(0xaa, 4_096, bytes.length)
      writeFileSync(damaged, bytes)
      const nonsense = join(folder, "nonsense.db")
      writeFileSync(nonsense, "this is a text, and a rather long one at that ".repeat(200))
      for (const file of [damaged, nonsense]) {
        const context = yield* build(file)
        yield* Effect.gen(function* () {
          const opened = yield* Effect.flip((yield* Backend).open(openRun()))
          assert.strictEqual(opened.reason._tag, "Held", opened.message)
          assert.include(opened.message, "rebuilt from the journals")
          const read = yield* Effect.flip((yield* Reader.LocalReader).runs())
          assert.strictEqual(read.reason._tag, "Held", read.message)
        }).pipe(Effect.provide(context))
      }
    }).pipe(Effect.scoped)
  )

  it.effect(
    "migrates a store of version 1, which had no names that change and no tags that are taken away (S1.2)",
    () =>
      Effect.gen(function* () {
        const file = join(yield* temporary, "store.db")
        yield* filled(file)
        const database = new DatabaseSync(file)
        database.exec(`ALTER TABLE chunk DROP COLUMN checksum; ALTER TABLE tail DROP COLUMN checksum;
        ALTER TABLE run DROP COLUMN renamed_at; ALTER TABLE run DROP COLUMN renamed_by; DROP TABLE tag;
        CREATE TABLE tag (run INTEGER NOT NULL, key TEXT NOT NULL, writer TEXT NOT NULL, time REAL NOT NULL, value TEXT NOT NULL,
          PRIMARY KEY (run, key, writer)) STRICT, WITHOUT ROWID;
        INSERT INTO tag SELECT run, 'kept', '', -9e999, 'yes' FROM run; PRAGMA user_version = 1`)
        database.close()
        yield* Effect.gen(function* () {
          const reader = yield* Reader.LocalReader
          const run = yield* (yield* Backend).open(openRun())
          assert.deepStrictEqual((yield* reader.find(runId)).tags, new Map([["kept", "yes"]]))
          yield* run.write(batch("v", [tags(0, [["kept", null]]), renamed(1, "better")], 0, 2))
          const row = yield* reader.find("better")
          assert.deepStrictEqual([row.points, row.tags], [40_000, new Map()])
        }).pipe(Effect.provide(yield* build(file)))
      }).pipe(Effect.scoped)
  )

  it.effect(
    "gives no points that have changed on the disk, and what was written before there were checksums (S3.7)",
    () =>
      Effect.gen(function* () {
        const file = join(yield* temporary, "store.db")
        yield* filled(file)
        const edit = (sql: string) => {
          const database = new DatabaseSync(file)
          database.exec(sql)
          database.close()
        }
        const total = Effect.gen(function* () {
          const reader = yield* Reader.LocalReader
          const [first] = yield* reader.series(runId)
          const { count } = yield* reader.points(runId, first?.id ?? 0)
          return count
        }).pipe(Effect.provide(Layer.fresh(Reader.layer({ file }))))
        assert.strictEqual(yield* total, 40_000)
        edit("UPDATE chunk SET checksum = NULL WHERE chunk = (SELECT max(chunk) FROM chunk)")
        assert.strictEqual(yield* total, 40_000)
        edit(`UPDATE chunk SET columns = zeroblob(length(columns)) WHERE chunk = (SELECT min(chunk) FROM chunk)`)
        const error = yield* Effect.flip(total)
        assert.include(error.message, "points have changed on the disk")
        assert.include(error.message, "the store is rebuilt from the journals")
      }).pipe(Effect.scoped)
  )

  it.effect("refuses a store of a newer version and another application's database, and leaves them alone (S1.2)", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const newer = join(folder, "newer.db")
      yield* filled(newer)
      const database = new DatabaseSync(newer)
      database.exec("PRAGMA user_version = 4711")
      database.close()
      const other = join(folder, "other.db")
      const foreign = new DatabaseSync(other)
      foreign.exec("CREATE TABLE mine (x)")
      foreign.close()
      for (const [file, words] of [
        [newer, "Install the newer tracelet"],
        [other, "file of its own"]
      ] as const) {
        const before = readFileSync(file)
        const context = yield* build(file)
        yield* Effect.gen(function* () {
          const opened = yield* Effect.flip((yield* Backend).open(openRun()))
          assert.strictEqual(opened.reason._tag, "Held")
          assert.include(opened.message, words)
          assert.include((yield* Effect.flip((yield* Reader.LocalReader).runs())).message, words)
        }).pipe(Effect.provide(context))
        assert.isTrue(before.equals(readFileSync(file)))
      }
    }).pipe(Effect.scoped)
  )
})
