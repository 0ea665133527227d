import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reader from "@tracelet/backend-local/LocalReader"
import { positionOf } from "./batches.ts"
import { temporary } from "./temporary.ts"

const program = fileURLToPath(new URL("./children/writer.ts", import.meta.url))

const startWriter = (file: string, records: number, run: string, end = "close"): ChildProcess =>
  spawn(process.execPath, ["--conditions=@tracelet/source", program, file, String(records), run, end], {
    stdio: ["ignore", "pipe", "inherit"]
  })

const exit = (child: ChildProcess) => Effect.promise(() => once(child, "exit"))

/** Marks, counts, points and summaries of a run that a writer works at, or did: all of the same moment, or of one after the other. */
const check = (reader: Reader.LocalReader["Service"], run: string) =>
  Effect.gen(function* () {
    const confirmed = yield* reader.confirmed(run)
    if (confirmed === undefined) return 0
    const records = (confirmed.marks.get("w")?.position ?? 0) / positionOf(1)
    assert.strictEqual(confirmed.counts.delivered, records * 500)
    const list = yield* reader.series(run)
    let points = 0
    for (const summary of list) {
      const read = yield* reader.points(run, summary.id)
      assert.isAtLeast(read.count, summary.points)
      assert.isTrue(read.values.every((value, i) => value === 2 * i + (summary.name === "a" ? 0 : 1)))
      points += read.count
    }
    assert.isAtLeast(points, records * 500)
    return points
  })

describe("several processes", { timeout: 60_000 }, () => {
  it.live("reads whole batches while another process writes, and neither waits for a lock (S1.4)", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      const child = startWriter(file, 800, "busy")
      const reader = yield* Layer.build(Reader.layer({ file }))
      yield* Effect.gen(function* () {
        const service = yield* Reader.LocalReader
        let reads = 0
        while (child.exitCode === null) {
          yield* check(service, "busy")
          reads++
          yield* Effect.sleep(1)
        }
        assert.isAbove(reads, 3)
        assert.strictEqual(yield* check(service, "busy"), 400_000)
      }).pipe(Effect.provide(reader))
      assert.strictEqual(child.exitCode, 0)
    }).pipe(Effect.scoped)
  )

  it.live("has marks and data that agree after any kill, and goes on from there", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      const context = yield* Layer.build(Reader.layer({ file }))
      let last = 0
      for (const batches of [1, 40, 33, 100]) {
        const child = startWriter(file, 1_000_000, "killed")
        let lines = 0
        yield* Effect.promise(
          () =>
            new Promise<void>((resolve) => {
              child.stdout?.on("data", (data: Buffer) => {
                lines += data.toString().split("\n").length - 1
                if (lines >= batches) resolve()
              })
            })
        )
        child.kill("SIGKILL")
        yield* exit(child)
        const points = yield* Effect.flatMap(Reader.LocalReader, (reader) => check(reader, "killed")).pipe(
          Effect.provide(context)
        )
        assert.isAtLeast(points, last + batches * 500)
        last = points
      }
      const child = startWriter(file, last / 500 + 3, "killed")
      yield* exit(child)
      const points = yield* Effect.flatMap(Reader.LocalReader, (reader) => check(reader, "killed")).pipe(
        Effect.provide(context)
      )
      assert.strictEqual(points, last + 1_500)
    }).pipe(Effect.scoped)
  )

  it.live("keeps nothing of a batch whose transaction was killed (S1.5)", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      yield* exit(startWriter(file, 10, "run"))
      const dying = startWriter(file, 20, "run", "die")
      yield* exit(dying)
      assert.strictEqual(dying.signalCode, "SIGKILL")
      const context = yield* Layer.build(Reader.layer({ file }))
      yield* Effect.gen(function* () {
        const reader = yield* Reader.LocalReader
        assert.strictEqual(yield* check(reader, "run"), 5_000)
        assert.strictEqual((yield* reader.params("run")).size, 0)
      }).pipe(Effect.provide(context))
    }).pipe(Effect.scoped)
  )

  it.live("is made and migrated by three processes at once, which then write in turn (S1.2, S1.4)", () =>
    Effect.gen(function* () {
      const file = join(yield* temporary, "store.db")
      const runs = ["one", "two", "three"]
      const children = runs.map((run) => startWriter(file, 60, run))
      yield* Effect.forEach(children, exit, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        children.map(({ exitCode }) => exitCode),
        [0, 0, 0]
      )
      const context = yield* Layer.build(Reader.layer({ file }))
      for (const run of runs) {
        const points = yield* Effect.flatMap(Reader.LocalReader, (reader) => check(reader, run)).pipe(
          Effect.provide(context)
        )
        assert.strictEqual(points, 30_000)
      }
    }).pipe(Effect.scoped)
  )
})
