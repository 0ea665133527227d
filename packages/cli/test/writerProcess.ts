/**
 * A trainer for the agent's tests: `writerProcess.ts DIR RUN POINTS [BACKENDS]`. It logs as many points, waits until they are written, says
 * so on stdout, and then does nothing until stdin ends (it finishes) or it is killed.
 */
import * as Journal from "@tracelet/core/Journal"
import { RunId } from "@tracelet/core/Run"
import { runStarted } from "@tracelet/core/RunEvent"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const [dir = "", id = "", points = "0", backends = "local"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const run = RunId.make(id)
  const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
  const references = backends
    .split(",")
    .map((name) => ({ name, plugin: `backend.${name}`, version: "0.1.0", config: {} }))
  writer.event(runStarted(run, { time: Date.now() / 1000, project: "agent", name: "trainer", backends: references }))
  for (let step = 0; step < Number(points); step++) {
    writer.point("loss", step / 8, step, undefined, Date.now() / 1000)
    if (writer.isFull) yield* writer.commit
  }
  yield* writer.flush
  console.log("written")
  yield* Effect.promise(() => new Promise((resolve) => process.stdin.once("end", resolve).resume()))
  writer.event({ _tag: "RunFinished", time: Date.now() / 1000, status: "finished" })
  yield* writer.flush
})

await Effect.runPromise(
  Effect.scoped(program).pipe(Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))
)
