import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Backend, type Batch, type BackendRun } from "@tracelet/core/Backend"
import { isBefore, type Mark } from "@tracelet/core/Cursor"
import { countOf, type RunEvent } from "@tracelet/core/RunEvent"
import * as Series from "@tracelet/core/Series"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import { LocalReader, layerStore, type Columns } from "@tracelet/backend-local/LocalReader"
import * as LocalStore from "@tracelet/backend-local/LocalStore"
import { batch, cut, openRun, params, points, positionOf, renamed, runId, series, tags, type Point } from "./batches.ts"

const Memory = Layer.mergeAll(LocalBackend.layerStore, layerStore).pipe(
  Layer.provideMerge(Layer.fresh(LocalStore.layer({ file: ":memory:" })))
)

/** Numbers in [0, below), the same for the same seed (mulberry32). */
const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const specials = [NaN, Infinity, -Infinity, -0, 0, 1e308, 5e-324, 0.1]
const steps = [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 0, -1, 7, 7]
const allSeries = [
  series("loss"),
  series("loss", { subset: "val" }),
  series("loss", { rank: 1, subset: "val" }),
  series("__proto__"),
  series("a\u0000b")
]

/** The log of one writer, its clock mostly going forward. */
const makeLog = (below: (n: number) => number): ReadonlyArray<RunEvent> => {
  let time = 100
  return Array.from({ length: 1 + below(24) }, (_, record): RunEvent => {
    time += below(5) - 1
    const choice = below(10)
    if (choice === 0) return params(record, [[`p${below(3)}`, below(100)]], time)
    if (choice === 1) return tags(record, [[`t${below(3)}`, String(below(100))]], time)
    if (choice === 2) {
      const position = positionOf(record)
      return { _tag: "Text", time, name: "note", context: {}, step: record, text: String(below(1000)), position }
    }
    return points(
      record,
      Array.from({ length: 1 + below(record % 7 === 0 ? 700 : 30) }, () => ({
        series: allSeries[below(allSeries.length)] ?? series("loss"),
        step: below(3) === 0 ? (steps[below(steps.length)] ?? 0) : record,
        value: below(3) === 0 ? (specials[below(specials.length)] ?? 0) : below(1000) / 7,
        time: time + below(3) - 1
      }))
    )
  })
}

const listPoints = (event: RunEvent): ReadonlyArray<Point> =>
  event._tag !== "PointBatch"
    ? []
    : Array.from({ length: event.count }, (_, i) => ({
        series: event.table.get(event.series[i] ?? -1) ?? series("missing"),
        step: event.steps[i] ?? 0,
        value: event.values[i] ?? 0,
        time: event.times[i] ?? 0
      }))

/** Always the earliest of the lists' next points; of equal ones the first list's. */
const mergeByTime = <A extends { readonly time: number }>(lists: ReadonlyArray<ReadonlyArray<A>>): Array<A> => {
  const rest = lists.map((list) => [...list])
  const merged: Array<A> = []
  for (;;) {
    const first = rest
      .filter(([head]) => head !== undefined)
      .toSorted((a, b) => (a[0]?.time ?? 0) - (b[0]?.time ?? 0))[0]
    const head = first?.shift()
    if (head === undefined) return merged
    merged.push(head)
  }
}

const bits = (column: Iterable<number>): ReadonlyArray<string> =>
  Array.from(column, (value) => (Object.is(value, -0) ? "-0" : String(value)))

const bitsOf = (columns: Columns) => [bits(columns.steps), bits(columns.values), bits(columns.times)]

/** Writes a log in random cuts, each now and then again or from further back; closes the run now and then. */
const writeLog = Effect.fnUntraced(function* (
  run: BackendRun,
  writer: string,
  log: ReadonlyArray<RunEvent>,
  below: (n: number) => number
) {
  const end: Mark = { position: positionOf(log.length), index: 0 }
  let from: Mark = { position: 0, index: 0 }
  while (isBefore(from, end)) {
    const record = Math.min(log.length, from.position / positionOf(1) + below(4))
    const event = log[record]
    const index = event?._tag === "PointBatch" ? below(event.count) : 0
    const chosen: Mark = { position: positionOf(record), index }
    const to = isBefore(from, chosen) ? chosen : end
    const again = below(3) === 0 ? { position: positionOf(below(record + 1)), index: 0 } : from
    assert.strictEqual(
      (yield* run.write(cut(writer, log, isBefore(again, from) ? again : from, to))).retryFrom,
      undefined
    )
    if (below(4) === 0) yield* run.write(cut(writer, log, again, to))
    if (below(5) === 0) yield* run.close({ status: "finished", endedAt: 1 })
    from = to
  }
})

describe("LocalBackend", () => {
  it.effect.prop(
    "reads back what was logged, however it was cut into batches and whatever came twice (S1.5, S3.3, S3.6)",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 }))],
    ([seed]) =>
      Effect.gen(function* () {
        const below = random(seed)
        const backend = yield* Backend
        const reader = yield* LocalReader
        const run = yield* backend.open(openRun())
        const logs = new Map(["w1", "w2", "w3"].slice(0, 1 + below(3)).map((writer) => [writer, makeLog(below)]))
        yield* Effect.forEach(logs, ([writer, log]) => writeLog(run, writer, log, below), { concurrency: "unbounded" })

        const expected = Map.groupBy(
          [...logs].flatMap(([writer, log]) => log.flatMap(listPoints).map((point) => ({ ...point, writer }))),
          (point) => Series.toKey(point.series)
        )
        const found = yield* reader.series(runId)
        assert.sameMembers(found.map(Series.toKey), [...expected.keys()])
        for (const summary of found) {
          const own = expected.get(Series.toKey(summary)) ?? []
          const inOrder = mergeByTime([...Map.groupBy(own, ({ writer }) => writer).values()])
          const read = yield* reader.points(runId, summary.id)
          const column = (pick: (point: Point) => number) => bits(inOrder.map(pick))
          assert.deepStrictEqual(bitsOf(read), [column((p) => p.step), column((p) => p.value), column((p) => p.time)])
          const numbers = inOrder.map(({ value }) => value).filter((value) => !Number.isNaN(value))
          assert.strictEqual(summary.points, inOrder.length)
          assert.strictEqual(summary.nans, inOrder.length - numbers.length)
          assert.isTrue(numbers.length === 0 ? Number.isNaN(summary.min) : summary.min === Math.min(...numbers))
          assert.isTrue(numbers.length === 0 ? Number.isNaN(summary.max) : summary.max === Math.max(...numbers))
          const last = inOrder.at(-1)
          assert.deepStrictEqual(
            bits([summary.last.step, summary.last.value, summary.last.time]),
            bits([last?.step ?? 0, last?.value ?? 0, last?.time ?? 0])
          )
          assert.strictEqual(summary.lastTime, Math.max(...inOrder.map(({ time }) => time)))
          assert.strictEqual(summary.firstTime, Math.min(...inOrder.map(({ time }) => time)))
          const [fromStep, toStep] = [-1, 7]
          const within = yield* reader.points(runId, summary.id, { fromStep, toStep })
          assert.deepStrictEqual(
            bits(within.values),
            bits(inOrder.filter(({ step }) => step >= fromStep && step <= toStep).map(({ value }) => value))
          )
          const pieces = yield* Stream.runCollect(reader.pointColumns(runId, summary.id))
          assert.deepStrictEqual(bits(pieces.flatMap(({ values }) => [...values])), bits(read.values))
        }
        const texts = yield* Stream.runCollect(reader.texts(runId))
        const loggedTexts = [...logs.values()].map((log) => log.filter((event) => event._tag === "Text"))
        assert.deepStrictEqual(
          texts.map(({ text }) => text),
          mergeByTime(loggedTexts).map(({ text }) => text)
        )
        const confirmed = yield* reader.confirmed(runId)
        assert.deepStrictEqual(
          confirmed?.marks,
          new Map([...logs].map(([writer, log]) => [writer, { position: positionOf(log.length), index: 0 }]))
        )
        assert.deepStrictEqual(confirmed?.counts, {
          delivered: [...logs.values()].flat().reduce((sum, event) => sum + countOf(event), 0),
          rejected: 0,
          filtered: 0
        })
        const [row] = yield* reader.runs()
        assert.strictEqual(row?.points, [...expected.values()].flat().length)
      }).pipe(Effect.provide(Memory), Effect.scoped)
  )

  const withRun = <A, E>(
    body: (run: BackendRun, reader: LocalReader["Service"]) => Effect.Effect<A, E, LocalStore.LocalStore | Backend>
  ) =>
    Effect.gen(function* () {
      const backend = yield* Backend
      const reader = yield* LocalReader
      return yield* body(yield* backend.open(openRun({ tags: { demo: "", stage: "first" } })), reader)
    }).pipe(Effect.provide(Memory), Effect.scoped)

  const names = [
    "a\u0000b",
    "__proto__",
    "constructor",
    "\u0001\u001f\u007f",
    "é😀\u2028",
    "x".repeat(1_024),
    "a",
    "a\u0000"
  ]

  it.effect("keeps names as they are: NUL, control characters, __proto__, 1,024 bytes (S2.1)", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        const log = [
          points(
            0,
            names.map((name, i) => ({ series: series(name, { subset: name }), step: i, value: i, time: i }))
          ),
          params(
            1,
            names.map((name) => [name, { [`${name}!`]: name }])
          ),
          tags(
            2,
            names.map((name) => [name, name])
          ),
          ...names.map((name, i): RunEvent => ({
            _tag: "Text",
            time: 3,
            name,
            context: {},
            step: i,
            text: name,
            position: positionOf(3 + i)
          }))
        ]
        yield* run.write(batch("w", log, 0, log.length))
        yield* run.close({ status: "finished", endedAt: 9 })
        const found = yield* reader.series(runId)
        assert.sameMembers(
          found.map(({ name }) => name),
          names
        )
        assert.sameMembers(
          found.map(({ context }) => context["subset"]),
          names
        )
        const kept = yield* reader.params(runId)
        assert.sameMembers([...kept.keys()], names)
        assert.deepStrictEqual(kept.get("__proto__"), { "__proto__!": "__proto__" })
        const labels = yield* reader.tags(runId)
        assert.deepStrictEqual(
          names.map((name) => labels.get(name)),
          names
        )
        const texts = yield* Stream.runCollect(reader.texts(runId))
        assert.deepStrictEqual(
          texts.map(({ name, text }) => [name, text]),
          names.map((name) => [name, name])
        )
      })
    )
  )

  it.effect("keeps a run's name and project as they are", () =>
    Effect.gen(function* () {
      const backend = yield* Backend
      const reader = yield* LocalReader
      yield* backend.open(openRun({ name: "n\u0000/__proto__", project: "p\u0000/é" }))
      const found = yield* reader.find("p\u0000/é/n\u0000/__proto__")
      assert.deepStrictEqual([found.name, found.project], ["n\u0000/__proto__", "p\u0000/é"])
    }).pipe(Effect.provide(Memory), Effect.scoped)
  )

  it.effect("keeps a param that is -0, nested and under __proto__, and every value a param had (S2.5)", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        const nested: unknown = JSON.parse(`{"__proto__":[-0,{"x":-0}],"n":"NaN"}`)
        assert.isTrue(typeof nested === "object")
        const log = [params(0, [["a", JSON.parse(`{"__proto__":[-0,{"x":-0}],"n":"NaN"}`)]]), params(1, [["a", -0]])]
        yield* run.write(batch("w", log, 0, 2))
        const history = yield* reader.paramHistory(runId)
        assert.strictEqual(history.length, 2)
        assert.deepStrictEqual(history[0]?.value, nested)
        assert.isTrue(Object.is((yield* reader.params(runId)).get("a"), -0))
      })
    )
  )

  it.effect("lets a tag that was set win over the one the run started with, and the later of two writers (S2.6)", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        yield* run.write(batch("w2", [tags(0, [["stage", "w2"]], 50)], 0, 1))
        yield* run.write(batch("w1", [tags(0, [["stage", "w1"]], 40)], 0, 1))
        assert.deepStrictEqual(
          yield* reader.tags(runId),
          new Map([
            ["demo", ""],
            ["stage", "w2"]
          ])
        )
        assert.deepStrictEqual((yield* reader.runs({ tag: { key: "stage", value: "w2" } })).length, 1)
        assert.deepStrictEqual((yield* reader.runs({ tag: { key: "stage", value: "w1" } })).length, 0)
      })
    )
  )

  it.effect("takes a tag away, and lets another writer set it again later (J5.9, S2.6)", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        yield* run.write(
          batch(
            "w1",
            [
              tags(
                0,
                [
                  ["stage", null],
                  ["none", null]
                ],
                50
              )
            ],
            0,
            1
          )
        )
        assert.deepStrictEqual(yield* reader.tags(runId), new Map([["demo", ""]]))
        yield* run.write(batch("w2", [tags(0, [["stage", "old"]], 40)], 0, 1))
        assert.isFalse((yield* reader.tags(runId)).has("stage"))
        yield* run.write(batch("w3", [tags(0, [["stage", "new"]], 60)], 0, 1))
        assert.strictEqual((yield* reader.find(runId)).tags.get("stage"), "new")
      })
    )
  )

  it.effect(
    "has the latest name whatever order the writers come in, and keeps it when the run is opened again (J5.14)",
    () =>
      Effect.gen(function* () {
        const logs = {
          w1: [renamed(0, "a", 10), renamed(1, "c", 5)],
          w2: [renamed(0, "b", 10)],
          w3: [renamed(0, "first", 3)]
        }
        for (const order of [
          ["w1", "w2", "w3"],
          ["w3", "w2", "w1"],
          ["w2", "w1", "w3"]
        ] as const) {
          yield* Effect.gen(function* () {
            const backend = yield* Backend
            const reader = yield* LocalReader
            const run = yield* backend.open(openRun())
            for (const writer of order) yield* run.write(batch(writer, logs[writer], 0, logs[writer].length))
            yield* backend.open(openRun())
            assert.deepStrictEqual([(yield* reader.find(runId)).name, (yield* reader.find("b")).id], ["b", runId])
            assert.strictEqual((yield* Effect.flip(reader.find("baseline")))._tag, "RunNotFound")
            assert.strictEqual((yield* reader.find(runId)).counts.delivered, 4)
          }).pipe(Effect.provide(Layer.fresh(Memory)), Effect.scoped)
        }
      })
  )

  it.effect("keeps the status of the last close, and is running again after a late write (S2.2)", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        const log = [params(0, [["a", 1]]), params(1, [["a", 2]])]
        yield* run.write(batch("w", log, 0, 1))
        yield* run.close({ status: "failed", endedAt: 7 })
        const backend = yield* Backend
        const again = yield* Effect.scoped(backend.open(openRun()))
        assert.isTrue((yield* again.confirmed ?? Effect.die("no marks")).closed)
        yield* again.write(batch("w", log, 0, 1))
        assert.strictEqual((yield* reader.find(runId)).status, "failed")
        yield* again.write(batch("w", log, 1, 2))
        const row = yield* reader.find(runId)
        assert.deepStrictEqual([row.status, row.endedAt, row.closed], ["running", null, false])
      })
    )
  )

  it.effect("counts what was filtered and put aside, once, and moves the mark of a batch with no event left", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        const empty: Batch = {
          writer: "w",
          from: { position: 0, index: 0 },
          to: { position: 640, index: 3 },
          events: [],
          filtered: 13,
          rejected: 2
        }
        yield* run.write(empty)
        yield* run.write(empty)
        const confirmed = yield* reader.confirmed(runId)
        assert.deepStrictEqual(confirmed?.marks.get("w"), { position: 640, index: 3 })
        assert.deepStrictEqual(confirmed?.counts, { delivered: 0, rejected: 2, filtered: 13 })
      })
    )
  )

  it.effect("rejects a param nested too deep to be written, and keeps the rest of its batch", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        const deep = JSON.parse("[".repeat(200_000) + "]".repeat(200_000))
        const report = yield* run.write(
          batch("w", [params(0, [["ok", 1]]), params(1, [["deep", deep]]), params(2, [["b", 2]])], 0, 3)
        )
        assert.deepStrictEqual(
          report.rejected.map(({ event, index }) => [event, index]),
          [[1, 0]]
        )
        assert.deepStrictEqual([...(yield* reader.params(runId)).keys()], ["b", "ok"])
        assert.deepStrictEqual((yield* reader.confirmed(runId))?.counts, { delivered: 2, rejected: 1, filtered: 0 })
      })
    )
  )

  it.effect("has few chunks that are not full, each more than four times as large as the next (S3.3)", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        const store = yield* LocalStore.LocalStore
        const below = random(1)
        const loss = series("loss")
        let step = 0
        const log = Array.from({ length: 400 }, (_, record) =>
          points(
            record,
            Array.from({ length: 1 + below(record % 5 === 0 ? 300 : 9) }, () => ({
              series: loss,
              step: step++,
              value: 1,
              time: record
            }))
          )
        )
        for (let record = 0; record < log.length; record++) {
          yield* run.write(batch("w", log, record, record + 1))
          yield* run.close({ status: "finished", endedAt: 1 })
          const sizes = yield* store.read("count points", (connection) =>
            connection
              .prepare("SELECT points FROM chunk ORDER BY chunk")
              .all()
              .map((row) => Number(row["points"]))
          )
          const small = sizes.filter((size) => size !== 512)
          assert.isAtMost(small.length, 5)
          assert.deepStrictEqual(sizes.slice(sizes.length - small.length), small)
          assert.isTrue(small.every((size, i) => i === 0 || (small[i - 1] ?? 0) > 4 * size))
        }
        const [summary] = yield* reader.series(runId)
        assert.strictEqual(summary?.points, step)
        const read = yield* reader.points(runId, summary?.id ?? -1)
        assert.isTrue(read.count === step && read.steps.every((value, i) => value === i))
      })
    )
  )

  it.effect("forgets a run wholly, holds the lane that had it open, and builds it again", () =>
    withRun((run, reader) =>
      Effect.gen(function* () {
        const store = yield* LocalStore.LocalStore
        const log = makeLog(random(7))
        yield* run.write(batch("w", log, 0, 5))
        yield* run.close({ status: "finished", endedAt: 1 })
        yield* run.write(batch("w", log, 5, log.length))
        const before = yield* reader.series(runId)
        assert.isTrue(yield* store.forget(runId))
        assert.isFalse(yield* store.forget(runId))
        const left = yield* store.read("count rows", (connection) =>
          ["run", "mark", "series", "stream", "chunk", "tail", "param", "tag", "event"].map(
            (table) => connection.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.["n"]
          )
        )
        assert.deepStrictEqual(left, [0, 0, 0, 0, 0, 0, 0, 0, 0])
        const refused = yield* Effect.flip(run.write(batch("w", log, 5, log.length)))
        assert.strictEqual(refused.reason._tag, "Held")
        const backend = yield* Backend
        const again = yield* Effect.scoped(backend.open(openRun()))
        yield* again.write(batch("w", log, 0, log.length))
        const without = (list: typeof before) => list.map((summary) => ({ ...summary, id: 0 }))
        assert.deepStrictEqual(without(yield* reader.series(runId)), without(before))
      })
    )
  )
})
