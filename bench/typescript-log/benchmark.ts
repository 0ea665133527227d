/** What `Tracker.log` costs the program that calls it. See README.md beside it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Local from "@tracelet/backend-local"
import type { CurrentRun } from "@tracelet/core/CurrentRun"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { interleave, median, printHead, printRow } from "../harness.ts"

const blocks = 200
const calls = 1_000

/** Median over blocks of a call's share of its block, in microseconds: the clock costs nothing that way. */
const perCall = <R>(call: (step: number) => Effect.Effect<void, never, R>): Effect.Effect<number, never, R> =>
  Effect.gen(function* () {
    const shares: Array<number> = []
    for (let block = 0; block < blocks; block++) {
      const from = process.hrtime.bigint()
      for (let i = 0; i < calls; i++) yield* call(block * calls + i)
      shares.push(Number(process.hrtime.bigint() - from) / calls / 1_000)
      // The writer and the lanes run beside the program, not within the measured blocks.
      yield* Effect.sleep(1)
    }
    return median(shares)
  })

const dir = mkdtempSync(join(tmpdir(), "tracelet-bench-"))
const Tracking = Tracelet.layer({ backends: { local: Local.plugin() }, drain: "60 seconds" }).pipe(
  Layer.provide(Journal.layerFile({ dir })),
  Layer.provide(NodePlatform.layer)
)

const logs = (call: (step: number) => Effect.Effect<void, never, CurrentRun>) => () =>
  perCall(call).pipe(Tracker.withRun({ project: "bench" }), Effect.provide(Tracking), Effect.runPromise)

let sink = 0
printHead()
printRow(
  "TypeScript `Tracker.log`, one value of a known series, p50",
  "µs",
  await interleave([
    { name: "log", measure: logs((step) => Tracker.log({ loss: step }, { step })) },
    {
      name: "an Effect that adds to a number",
      measure: () => Effect.runPromise(perCall((step) => Effect.sync(() => void (sink += step))))
    }
  ]),
  "≤ 0.35"
)
printRow(
  "TypeScript `Tracker.log`, four values with a context, p50",
  "µs",
  await interleave([
    {
      name: "log",
      measure: logs((step) => Tracker.log({ loss: step, acc: 1, lr: 2, norm: 3 }, { step, context: { subset: "val" } }))
    }
  ]),
  ""
)
rmSync(dir, { recursive: true })
