/** An archive on a disk, compressed: how small it is, and that it reads as its segments did. */
import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import * as NodePlatform from "../src/NodePlatform.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const run = RunId.make("0123456789abcdef")
const points = 200_000
/** design: at most 10 MB a million points. */
const bytesPerPointMax = 10

const read = Effect.gen(function* () {
  const reader = yield* (yield* (yield* Journal.Journal).open(run)).reader(new Map(), { points: 60_000, bytes: 1e6 })
  const found = new Float64Array(points)
  let count = 0
  for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
    for (const event of batch.events) {
      if (event._tag !== "PointBatch") continue
      found.set(event.values, count)
      count += event.count
    }
  }
  return { values: found.subarray(0, count), gapBytes: reader.losses().gapBytes }
}).pipe(Effect.scoped)

/** Bodies of the pieces of an archive, found by hand: where they lie, and how many bytes of the segment they stand for. */
const piecesOf = (bytes: Buffer) => {
  const pieces: Array<{ readonly from: number; readonly to: number; readonly stands: number }> = []
  for (let at = 0; at < bytes.length;) {
    const from = at + bytes.readUInt32LE(at + 12)
    const to = from + bytes.readUInt32LE(at + 24)
    if (bytes.readUInt16LE(at + 10) === 2) pieces.push({ from, to, stands: bytes.readUInt32LE(at + 40) })
    at = Math.ceil(to / 8) * 8
  }
  return pieces
}

describe("an archive on a disk", () => {
  it.live(
    `J11.3, J11.6: takes at most ${bytesPerPointMax} bytes for each of ${points} noisy points, and gives them back bit for bit`,
    () =>
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* Effect.gen(function* () {
          const journal = yield* Journal.Journal
          const logged = new Float64Array(points)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const writer = yield* journal.write({ run, role: "primary" })
              let state = 1
              for (let i = 0; i < points; i++) {
                state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
                // All 52 bits of the fraction are noise, as of a loss in float64.
                logged[i] = 0.5 + Math.exp(-i / 50_000) + Math.sin(state) / 20
                writer.point("loss", logged[i], i, undefined, 1.79e9 + i / 1000 + (state % 1000) * 1e-7)
                if (i % 20_000 === 0) yield* writer.commit
              }
            })
          )
          const opened = yield* journal.open(run)
          const { bytesAfter, bytesBefore } = yield* opened.archive
          const folder = join(dir, "runs", run, "journal")
          assert.deepStrictEqual(readdirSync(folder), ["archive.0.tla"])
          assert.strictEqual(statSync(join(folder, "archive.0.tla")).size, bytesAfter)
          assert.isAbove(bytesBefore / points, 28)
          assert.isBelow(bytesAfter / points, bytesPerPointMax)
          assert.deepStrictEqual((yield* read).values, logged)
          // A page of any frame lost costs that frame: nearly all of it is points of 28 bytes, and each of them is gone or as it was.
          const path = join(folder, "archive.0.tla")
          const whole = readFileSync(path)
          const pieces = piecesOf(whole)
          assert.isAbove(pieces.length, 4)
          const all = new Set(logged)
          for (const { from, stands, to } of pieces.slice(1, -1)) {
            const at = Math.floor((from + to) / 2)
            writeFileSync(path, Buffer.from(whole).fill(0, at, Math.min(to, at + 4_096)))
            const { gapBytes, values } = yield* read
            assert.isTrue(values.every((value) => all.has(value)))
            const lost = points - values.length
            assert.isAbove(lost, 0)
            assert.isAtMost(lost, stands / 28)
            assert.isAtLeast(gapBytes, lost * 28)
            assert.isAtMost(gapBytes, stands)
          }
          // What all of them need is there twice: neither the first page nor the last costs a point, nor what is cut off with it.
          writeFileSync(path, Buffer.concat([Buffer.alloc(4_096), whole.subarray(4_096)]))
          assert.deepStrictEqual(yield* read, { values: logged, gapBytes: 0 })
          for (const bytes of [
            Buffer.concat([whole.subarray(0, -4_096), Buffer.alloc(4_096)]),
            whole.subarray(0, -4_096),
            Buffer.concat([whole.subarray(0, 100_000), Buffer.alloc(8, 1), whole.subarray(100_000)])
          ]) {
            writeFileSync(path, bytes)
            const { gapBytes, values } = yield* read
            assert.isTrue(values.every((value) => all.has(value)))
            assert.isAtLeast(values.length, points - 1_100_000 / 28)
            assert.strictEqual(gapBytes > 0, values.length < points)
          }
        }).pipe(Effect.scoped, Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))
      }).pipe(Effect.scoped),
    30_000
  )
})
