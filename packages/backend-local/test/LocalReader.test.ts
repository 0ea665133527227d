import { rmSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Backend } from "@tracelet/core/Backend"
import { RunId } from "@tracelet/core/Run"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import * as Reader from "@tracelet/backend-local/LocalReader"
import { RunAmbiguous, RunNotFound } from "@tracelet/backend-local/RunLookup"
import { batch, openRun, points, positionOf, runId, series } from "./batches.ts"
import { temporary } from "./temporary.ts"

const withFile = <A, E>(
  body: (reader: Reader.LocalReader["Service"], backend: Backend["Service"], file: string) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const file = join(yield* temporary, "sub", "store.db")
    const context = yield* Layer.build(Layer.merge(Reader.layer({ file }), LocalBackend.layer({ file })))
    return yield* Effect.provide(
      Effect.gen(function* () {
        return yield* body(yield* Reader.LocalReader, yield* Backend, file)
      }),
      context
    )
  }).pipe(Effect.scoped)

const open = (backend: Backend["Service"], id: string, name: string, startedAt: number, project = "digits") =>
  Effect.scoped(backend.open(openRun({ id: RunId.make(id), name, project }, startedAt)))

describe("LocalReader", () => {
  it.effect("reads a store that is not there as an empty one, and finds it once it is", () =>
    withFile((reader, backend) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* reader.runs(), [])
        assert.deepStrictEqual(yield* reader.series(runId), [])
        assert.strictEqual((yield* reader.points(runId, 1)).count, 0)
        assert.strictEqual(yield* reader.confirmed(runId), undefined)
        assert.deepStrictEqual(yield* Stream.runCollect(reader.console(runId)), [])
        assert.instanceOf(yield* Effect.flip(reader.find("x")), RunNotFound)
        yield* open(backend, runId, "baseline", 1)
        assert.strictEqual((yield* reader.runs()).length, 1)
        assert.deepStrictEqual(yield* reader.series("other"), [])
      })
    )
  )

  it.effect("reads the new file when the store was moved away and built again", () =>
    withFile((reader, backend, file) =>
      Effect.gen(function* () {
        yield* open(backend, runId, "before", 1)
        assert.strictEqual((yield* reader.find(runId)).name, "before")
        for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true })
        assert.deepStrictEqual(yield* reader.runs(), [])
        const again = yield* Layer.build(Layer.fresh(LocalBackend.layer({ file })))
        yield* Effect.flatMap(Backend, (other) => open(other, runId, "after", 1)).pipe(Effect.provide(again))
        assert.strictEqual((yield* reader.find(runId)).name, "after")
      }).pipe(Effect.scoped)
    )
  )

  it.effect("finds a run by id, by unique prefix, by name the newest, and by project/name", () =>
    withFile((reader, backend) =>
      Effect.gen(function* () {
        yield* open(backend, "aaaa1111", "baseline", 1)
        yield* open(backend, "aaab2222", "baseline", 3)
        yield* open(backend, "bbbb3333", "baseline", 2, "other/thing")
        yield* open(backend, "bbbb", "aaa", 2)
        const id = (query: string) => Effect.map(reader.find(query), (row) => row.id)
        assert.strictEqual(yield* id("aaaa1111"), "aaaa1111")
        assert.strictEqual(yield* id("aaaa"), "aaaa1111")
        assert.strictEqual(yield* id("bbbb"), "bbbb")
        assert.strictEqual(yield* id("baseline"), "aaab2222")
        assert.strictEqual(yield* id("digits/baseline"), "aaab2222")
        assert.strictEqual(yield* id("other/thing/baseline"), "bbbb3333")
        assert.strictEqual(yield* id("aaa"), "bbbb", "a name before an ambiguous prefix")
        const ambiguous = yield* Effect.flip(reader.find("aa"))
        assert.instanceOf(ambiguous, RunAmbiguous)
        assert.deepStrictEqual(
          ambiguous._tag === "RunAmbiguous" && ambiguous.candidates.map((candidate) => candidate.id),
          ["aaab2222", "aaaa1111"]
        )
        for (const query of ["basline", "BASE", "other/thing/baselin"]) {
          const unknown = yield* Effect.flip(reader.find(query))
          assert.isTrue(unknown._tag === "RunNotFound" && unknown.nearest.length > 0, query)
        }
        for (const query of ["", "quite something else", "\u0000", "%", "aaaa1111 "]) {
          assert.strictEqual((yield* Effect.flip(reader.find(query)))._tag, "RunNotFound")
        }
      })
    )
  )

  it.effect("lists runs by project, status and tag, sorted and limited", () =>
    withFile((reader, backend) =>
      Effect.gen(function* () {
        yield* open(backend, "a", "one", 1)
        yield* open(backend, "b", "two", 2)
        yield* open(backend, "c", "three", 3, "letters")
        const run = yield* backend.open(
          openRun({ id: RunId.make("d"), name: "four", tags: { good: "", who: "me" } }, 4)
        )
        yield* run.close({ status: "failed", endedAt: 9 })
        const ids = (query: Reader.RunsQuery) => Effect.map(reader.runs(query), (rows) => rows.map(({ id }) => id))
        assert.deepStrictEqual(yield* ids({}), ["d", "c", "b", "a"])
        assert.deepStrictEqual(yield* ids({ sort: "oldest", limit: 2 }), ["a", "b"])
        assert.deepStrictEqual(yield* ids({ sort: "name" }), ["d", "a", "b", "c"])
        assert.deepStrictEqual(yield* ids({ project: "letters" }), ["c"])
        assert.deepStrictEqual(yield* ids({ status: "failed" }), ["d"])
        assert.deepStrictEqual(yield* ids({ tag: { key: "good" } }), ["d"])
        assert.deepStrictEqual(yield* ids({ tag: { key: "who", value: "you" } }), [])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("streams one state of the store, whatever is written meanwhile", () =>
    withFile((reader, backend) =>
      Effect.gen(function* () {
        const run = yield* backend.open(openRun())
        const loss = series("loss")
        const record = (n: number) =>
          points(
            n,
            Array.from({ length: 2_000 }, (_, i) => ({ series: loss, step: n * 2_000 + i, value: i, time: n }))
          )
        const log = Array.from({ length: 60 }, (_, n) => record(n))
        yield* run.write(batch("w", log, 0, 40))
        const [summary] = yield* reader.series(runId)
        let seen = 0
        let isFirst = true
        yield* Stream.runForEach(reader.pointColumns(runId, summary?.id ?? -1), (block) =>
          Effect.gen(function* () {
            seen += block.count
            if (isFirst) yield* run.write(batch("w", log, 40, 60))
            isFirst = false
          })
        )
        assert.strictEqual(seen, 80_000)
        assert.strictEqual((yield* reader.points(runId, summary?.id ?? -1)).count, 120_000)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("down-samples across chunks and tail, and counts what it stands for", () =>
    withFile((reader, backend) =>
      Effect.gen(function* () {
        const run = yield* backend.open(openRun())
        const loss = series("loss")
        const log = Array.from({ length: 30 }, (_record, n) =>
          points(
            n,
            Array.from({ length: 1_000 }, (_, i) => {
              const step = n * 1_000 + i
              return {
                series: loss,
                step,
                value: step === 7_777 ? 1e9 : step === 29_999 - 5 ? NaN : Math.cos(step),
                time: step
              }
            })
          )
        )
        for (let n = 0; n < log.length; n++) yield* run.write(batch("w", log, n, n + 1))
        const [summary] = yield* reader.series(runId)
        const all = yield* reader.points(runId, summary?.id ?? -1)
        assert.strictEqual(all.total, 30_000)
        const chart = yield* reader.points(runId, summary?.id ?? -1, { buckets: 50 })
        assert.strictEqual(chart.total, 30_000)
        assert.isAtMost(chart.count, 152)
        assert.include([...chart.steps], 7_777)
        assert.include([...chart.steps], 29_994)
        const some = yield* reader.points(runId, summary?.id ?? -1, { buckets: 50, fromStep: 7_000, toStep: 7_999 })
        assert.strictEqual(some.total, 1_000)
        assert.deepStrictEqual([some.steps[0], some.steps[some.count - 1]], [7_000, 7_999])
        assert.strictEqual(summary?.max, 1e9)
        assert.strictEqual(summary?.nans, 1)
        assert.strictEqual((yield* reader.points(runId, 4711)).count, 0)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("returns media, artifacts and console lines as they were logged", () =>
    withFile((reader, backend) =>
      Effect.gen(function* () {
        const run = yield* backend.open(openRun())
        const digest = `sha256:${"0".repeat(64)}`
        const media = {
          _tag: "Media" as const,
          time: 1.5,
          name: "weights",
          context: { layer: 1 },
          step: -3,
          kind: "histogram" as const,
          mediaType: "application/json",
          digest,
          bytes: 10,
          edges: [-0, 1.5],
          counts: [3]
        }
        const artifact = {
          _tag: "Artifact" as const,
          time: 2,
          name: "model",
          type: "checkpoint",
          files: [{ path: "a/b", digest, bytes: 1 }],
          references: ["s3://x"]
        }
        const line = { _tag: "Console" as const, time: 3, stream: "stderr" as const, text: "\u001b[1m\u0000" }
        const log = [media, artifact, line].map((event, record) => ({ ...event, position: positionOf(record) }))
        yield* run.write(batch("w", log, 0, 3))
        const [readMedia] = yield* Stream.runCollect(reader.media(runId))
        assert.deepStrictEqual(readMedia, media)
        assert.isTrue(Object.is(readMedia?.edges?.[0], -0))
        assert.deepStrictEqual(yield* Stream.runCollect(reader.artifacts(runId)), [artifact])
        assert.deepStrictEqual(yield* Stream.runCollect(reader.console(runId)), [line])
      }).pipe(Effect.scoped)
    )
  )
})
