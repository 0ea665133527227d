import { assert, it } from "@effect/vitest"
import * as Local from "@tracelet/backend-local"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe } from "vitest"

describe("two local stores in one app", () => {
  it.live("are two: each has the run", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tracelet-two-"))),
        (made) => Effect.sync(() => rmSync(made, { recursive: true }))
      )
      const files = [join(folder, "a.db"), join(folder, "b.db")] as const
      const layer = Tracelet.layer({
        backends: { a: Local.plugin({ file: files[0] }), b: Local.plugin({ file: files[1] }) }
      }).pipe(Layer.provide(Journal.layerFile({ dir: join(folder, ".tracelet") })), Layer.provide(NodePlatform.layer))
      yield* Tracker.log({ loss: 1 }).pipe(Tracker.withRun({ name: "twice" }), Effect.provide(layer))
      for (const file of files) {
        const runs = yield* Local.LocalReader.LocalReader.use((reader) => reader.runs()).pipe(
          Effect.provide(Local.LocalReader.layer({ file }))
        )
        assert.deepStrictEqual(
          runs.map(({ name, points, closed }) => ({ name, points, closed })),
          [{ name: "twice", points: 1, closed: true }]
        )
      }
    }).pipe(Effect.scoped)
  )
})
