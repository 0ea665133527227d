/** An archive on a disk, compressed: how small it is, and that it reads as its segments did. */
import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import * as NodePlatform from "../src/NodePlatform.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

const run = RunId.make("0123456789abcdef")
const points = 200_000
/** design: at most 10 MB a million points. */
const bytesPerPointMax = 10

const values = Effect.gen(function* () {
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
  return found.subarray(0, count)
}).pipe(Effect.scoped)

describe("an archive on a disk", () => {
  it.live(
    `J11.3: takes at most ${bytesPerPointMax} bytes for each of ${points} noisy points, and gives them back bit for bit`,
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
          assert.deepStrictEqual(yield* values, logged)
        }).pipe(Effect.scoped, Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))
      }).pipe(Effect.scoped),
    30_000
  )
})
