/**
 * An Effect app that logs and delivers until it is killed, and says what it was told is safe: `app.ts FOLDER COUNTER NAME`.
 *
 * COUNTER holds the number of calls that a flush or a durable log has acknowledged (u64), the run's id, and from byte 40 on the number of
 * calls begun (u64): a `write` survives SIGKILL. What call number i logs stands in expected.ts.
 */
import { openSync, writeSync } from "node:fs"
import * as Local from "@tracelet/backend-local"
import { CurrentRun } from "@tracelet/core/CurrentRun"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { call } from "../expected.ts"

/** Whoever started it has ended it long before. */
const lifeMs = 180_000
setTimeout(() => process.exit(9), lifeMs).unref()

const [dir = "", counter = "", name = ""] = process.argv.slice(2)
const points = Number(process.env["CHAOS_POINTS"] ?? "Infinity")
const group = 64

const file = openSync(counter, "r+")
const store = (at: number, count: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(count))
  writeSync(file, bytes, 0, 8, at)
}

const app = Effect.gen(function* () {
  writeSync(file, (yield* CurrentRun).run.id, 8, "latin1")
  let i = 0
  for (let turn = 0; i < points; turn++) {
    const end = i + group
    store(40, end)
    for (; i < end - 1; i++) {
      const { context, name: series, step, value } = call(i)
      yield* Tracker.log({ [series]: value }, { step, context })
    }
    const { context, name: series, step, value } = call(i++)
    // By turns: an acknowledgement of the last call is one of all before it, too.
    if (turn % 2 === 0) {
      yield* Tracker.log({ [series]: value }, { step, context, durable: true })
    } else {
      yield* Tracker.log({ [series]: value }, { step, context })
      yield* Tracker.flush
    }
    store(0, i)
  }
}).pipe(Tracker.withRun({ project: "chaos", name }))

const Tracking = Tracelet.layer({ backends: { local: Local.plugin() } }).pipe(
  Layer.provide(Journal.layerFile({ dir })),
  Layer.provide(NodePlatform.layer)
)

await Effect.runPromise(Effect.provide(app, Tracking))
