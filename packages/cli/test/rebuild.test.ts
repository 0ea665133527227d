/**
 * The store is a cache: deleted, it is built again from the journals, and from archives of them, with the same content. Compared row by row
 * over every table; only numbers that SQLite gave (run, series, stream) and where chunks were cut may differ.
 */
import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import { RunId } from "@tracelet/core/Run"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe } from "vitest"
import * as App from "./support/app.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { training, writeEnded } from "./support/runs.ts"

const golden = join(import.meta.dirname, "../../bridge-python/protocol/golden")
const id = (name: string) => name.padEnd(32, "0")

/** Every table with its rows, by what they are of rather than by their numbers. */
const dump = (dir: string) => {
  const database = new DatabaseSync(join(dir, "store.db"), { readOnly: true })
  const rows = (sql: string) =>
    database
      .prepare(sql)
      .all()
      .map((row) =>
        JSON.stringify(row, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value))
      )
      .toSorted()
  const tables = {
    chunk: new Map<string, string>(),
    event: rows(`SELECT r.id, e.kind, e.writer, e.position, e.time, e.payload FROM event e JOIN run r USING (run)`),
    mark: rows(`SELECT r.id, m.writer, m.position, m.point FROM mark m JOIN run r USING (run)`),
    param: rows(`SELECT r.id, p.key, p.writer, p.position, p.time, p.value FROM param p JOIN run r USING (run)`),
    run: rows(
      `SELECT id, project, name, status, started_at, ended_at, closed, points, delivered, rejected, filtered, tail_rows,
         tail_points, renamed_at, renamed_by FROM run`
    ),
    series: rows(`SELECT r.id, s.key, s.name, s.context FROM series s JOIN run r USING (run)`),
    stream: rows(
      `SELECT r.id, s.key, t.writer, t.summary FROM stream t JOIN series s USING (series) JOIN run r USING (run)`
    ),
    tag: rows(`SELECT r.id, t.key, t.writer, t.time, t.value FROM tag t JOIN run r USING (run)`),
    tail: rows(`SELECT columns FROM tail`)
  }
  // The points of a stream, bit for bit, whatever chunks they were cut into.
  const chunks = database.prepare(
    `SELECT r.id AS run, s.key AS key, t.writer AS writer, c.points AS points, c.columns AS columns FROM chunk c
       JOIN stream t ON t.stream = c.chunk / 4194304 JOIN series s USING (series) JOIN run r USING (run) ORDER BY c.chunk`
  )
  for (const { run, key, writer, points, columns } of chunks.all()) {
    if (!(columns instanceof Uint8Array)) throw new Error("a chunk without columns")
    const bytes = Buffer.from(columns)
    const n = Number(points)
    const stream = [run, key, writer].map(String).join(" ")
    const column = (of: number, i: number) => bytes.subarray(8 * (of * n + i), 8 * (of * n + i + 1)).toString("hex")
    const said = Array.from({ length: n }, (_, i) => `${column(0, i)} ${column(1, i)} ${column(2, i)}`).join("\n")
    tables.chunk.set(stream, `${tables.chunk.get(stream) ?? ""}${said}\n`)
  }
  const names = database
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
    .all()
  assert.deepStrictEqual(names.map(({ name }) => String(name)).toSorted(), Object.keys(tables).toSorted())
  database.close()
  return tables
}

/** Every kind of event, by two writers, with what JSON and SQL make hard. */
const everything = (dir: string, run: string) =>
  Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const second = yield* journal.write({ run: RunId.make(run), role: "child", of: "0123456789abcdef" })
    const digest = `sha256:${"0f".repeat(32)}`
    const context = { subset: "val", fold: 3 }
    for (const value of [NaN, Infinity, -Infinity, -0, 5e-324, 1e308])
      second.point("odd/\u0000name ✓", value, -7, context, 1e9)
    second.event({ _tag: "Params", time: 2, params: { a: { "": -0 }, big: "x".repeat(70_000), a2: null } })
    second.event({ _tag: "Tags", time: 3, tags: { label: "", demo: null } })
    second.event({ _tag: "Text", time: 4, name: "note", context, step: 1, text: "line\u0000\n…" })
    second.event({
      _tag: "Media",
      time: 5,
      name: "h",
      context: {},
      step: 1,
      kind: "histogram",
      mediaType: "application/json",
      digest,
      bytes: 9,
      edges: [0, 1],
      counts: [5]
    })
    second.event({
      _tag: "Artifact",
      time: 6,
      name: "m",
      type: "model",
      files: [{ path: "a", digest, bytes: 1 }],
      references: []
    })
    second.event({ _tag: "Console", time: 7, stream: "stderr", text: "warning" })
    yield* second.commit
  }).pipe(Effect.scoped, Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))

/** Zeros a page in the middle of a run's first segment, as a power cut may. */
const damage = (dir: string, run: string) => {
  const journal = join(dir, "runs", run, "journal")
  const name = readdirSync(journal).find((one) => one.endsWith(".0.tlj")) ?? ""
  const bytes = readFileSync(join(journal, name))
  assert.isAbove(bytes.length, 100_000)
  bytes.fill(0, 40_960, 45_056)
  writeFileSync(join(journal, name), bytes)
}

const say = (dir: string, ...args: ReadonlyArray<string>) =>
  Effect.map(tracelet(dir, [...args, "--dir", "."]), ({ code, err, out }) => {
    assert.strictEqual(code, 0, err)
    return out
  })

/** Deletes the store of a folder and has it built again: from its journals, from archives of them, and from these without any cursor. */
const rebuild = (dir: string) =>
  Effect.gen(function* () {
    const listed = yield* say(dir, "runs", "--json")
    const first = dump(dir)
    const again = (from: string) =>
      Effect.gen(function* () {
        for (const name of readdirSync(dir)) if (name.startsWith("store.db")) rmSync(join(dir, name))
        assert.strictEqual(yield* say(dir, "runs", "--json"), listed, from)
        assert.deepStrictEqual(dump(dir), first, from)
      })
    yield* again("journals")
    yield* say(dir, "archive")
    const runs = readdirSync(join(dir, "runs"))
    const isWhole = (run: string) =>
      readdirSync(join(dir, "runs", run, "journal")).every((name) => !name.endsWith(".tlj"))
    assert.isTrue(runs.every(isWhole))
    yield* again("archives")
    // What their cursors said is asked of the store, which says that it holds nothing (J7.6).
    for (const run of runs) rmSync(join(dir, "runs", run, "cursors"), { recursive: true })
    yield* again("archives, without cursors")
    return first
  })

describe("a store that was deleted", () => {
  it.live(
    "J11.3: is built again from journals and archives with the same content: every kind, writers, damage, names and tags",
    () =>
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id: id("aa11"), log: training, tags: { demo: "yes" } })
        yield* everything(dir, id("aa11"))
        yield* writeEnded(dir, { id: id("bb22"), name: "damaged", log: training, end: "failed" })
        damage(dir, id("bb22"))
        yield* writeEnded(dir, { id: id("cc33"), name: "killed", log: training, end: undefined })
        yield* say(dir, "runs")
        yield* say(dir, "rename", id("aa11"), "renamed")
        yield* say(dir, "tag", id("aa11"), "later=1", "kept=")
        const { chunk, event, run, tag } = yield* rebuild(dir)
        assert.isAbove(chunk.size, 9)
        assert.strictEqual(event.length, 4)
        assert.strictEqual(run.length, 3)
        assert.isAbove(tag.length, 3)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("J11.7: is built again with what was derived, archived or not; a run goes with its derived journals", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryFolder
      yield* App.run(dir, App.builtIn)
      yield* say(dir, "runs")
      const before = yield* say(dir, "export", "ranks", "--format", "jsonl")
      const { mark, series } = yield* rebuild(dir)
      assert.isAbove(mark.filter((row) => row.includes("derived-")).length, 2)
      assert.isAbove(series.filter((row) => row.includes("reduce")).length, 0)
      assert.strictEqual(yield* say(dir, "export", "ranks", "--format", "jsonl"), before)
      const [run = ""] = readdirSync(join(dir, "runs"))
      assert.strictEqual(readdirSync(join(dir, "runs", run, "derived")).length, 3)
      // A late writer has summaries of its own, though no cursor is left that pins who gives them.
      yield* Effect.gen(function* () {
        const late = yield* (yield* Journal.Journal).write({
          run: RunId.make(run),
          role: "child",
          of: "0123456789abcdef"
        })
        for (let step = 0; step < 100; step++) late.point("grad", step, step, undefined, 2e9 + step)
        yield* late.commit
      }).pipe(Effect.scoped, Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))
      yield* say(dir, "runs")
      const later = (yield* rebuild(dir)).mark.filter((row) => row.includes("derived-"))
      assert.strictEqual(later.length, mark.filter((row) => row.includes("derived-")).length + 1)
      yield* say(dir, "prune", "--bytes", "1B", "--yes")
      assert.deepStrictEqual(readdirSync(join(dir, "runs")), [])
      assert.deepStrictEqual(dump(dir).mark, [])
    }).pipe(Effect.scoped)
  )

  for (const name of readdirSync(golden)) {
    it.live(`J11.3: is built again from journals and archives with the same content: the golden journal ${name}`, () =>
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const expected = JSON.parse(readFileSync(join(golden, name, "expected.json"), "utf8"))
        mkdirSync(join(dir, "runs"))
        cpSync(join(golden, name), join(dir, "runs", expected.run), { recursive: true })
        assert.strictEqual((yield* rebuild(dir)).run.length, 1)
      }).pipe(Effect.scoped)
    )
  }
})
