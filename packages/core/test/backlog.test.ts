import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { describe } from "vitest"
import { Backend, type BackendRun } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import * as Pipeline from "@tracelet/core/Pipeline"
import { kinds, runStarted } from "@tracelet/core/RunEvent"
import { accepted } from "@tracelet/core/WriteReport"

/** Accepts 1,000 points a write, and only after `go`. */
const slow = (go: Effect.Effect<void>) => {
  const opened: BackendRun = {
    remote: null,
    confirmed: undefined,
    write: () => Effect.as(go, accepted),
    close: () => Effect.void
  }
  return Backend.of({
    capabilities: {
      kinds: new Set(kinds),
      identity: "point",
      limits: { points: 1_000, bytes: 1e6 },
      values: { nan: true, infinity: true, negativeZero: true },
      steps: { negative: true, repeated: true, late: true },
      degradations: []
    },
    open: () => Effect.succeed(opened)
  })
}

describe("the pending counts of a run under delivery", () => {
  it.live("follow what is logged and what is delivered, and reading them again reads nothing again", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const id = yield* journal.newRunId
      const writer = yield* journal.write({ run: id, role: "primary" })
      writer.event(runStarted(id, { time: 1 }))
      const log = (points: number) => {
        for (let i = 0; i < points; i++) writer.point("loss", i, undefined, undefined, 2)
        return writer.commit
      }
      yield* log(40_000)
      const run = yield* journal.open(id)
      const started = yield* run.started
      assert.isDefined(started)
      const gate = Semaphore.makeUnsafe(0)
      const targets = new Map<string, Pipeline.Targets extends ReadonlyMap<string, infer T> ? T : never>([
        [
          "slow",
          {
            backend: slow(Effect.asVoid(gate.take(1))),
            route: undefined,
            processors: [],
            permits: Semaphore.makeUnsafe(1)
          }
        ],
        ["absent", { state: "missing", reason: "not here" }]
      ])
      const delivery = yield* Pipeline.deliver(run, started, targets)
      assert.isDefined(delivery)
      const standing = Effect.map(delivery.backends, (backends) => {
        const { delivered, pending } = backends.get("slow") ?? { delivered: NaN, pending: NaN }
        return { delivered, pending, absent: backends.get("absent")?.pending }
      })
      assert.deepStrictEqual(yield* standing, { delivered: 0, pending: 40_000, absent: 40_000 })
      // The run-started record takes a place in the first batch.
      yield* gate.release(10)
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(yield* standing, { delivered: 9_999, pending: 30_001, absent: 40_000 })
      yield* log(5)
      assert.deepStrictEqual(yield* standing, { delivered: 9_999, pending: 30_006, absent: 40_005 })
      yield* gate.release(1_000)
      yield* delivery.wake
      yield* delivery.settled
      assert.deepStrictEqual(yield* standing, { delivered: 40_005, pending: 0, absent: 40_005 })
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )
})
