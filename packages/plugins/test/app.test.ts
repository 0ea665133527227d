/** Stateful processors in an app and under another host: what backends get, how it is counted, and who is refused. */
import { assert, it } from "@effect/vitest"
import * as Archive from "@tracelet/core/Archive"
import { Backend } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import { JournalStorage } from "@tracelet/core/JournalStorage"
import { deliver, standingFromCursor } from "@tracelet/core/Pipeline"
import * as Plugin from "@tracelet/core/Plugin"
import * as Processor from "@tracelet/core/Processor"
import type { Configured } from "@tracelet/core/StatefulProcessor"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { describe } from "vitest"
import { random } from "../../core/test/support/histories.ts"
import { ModelDisk } from "../../core/test/support/modelDisk.ts"
import * as Reduce from "../src/Reduce.ts"
import * as Throttle from "../src/Throttle.ts"
import * as Ranks from "./support/ranks.ts"

const never = { next: () => 1, below: () => 0 }

const pluginOf = (backend: Backend["Service"]) =>
  Plugin.make({
    id: "backend.service",
    kind: "backend",
    version: "1",
    stability: "experimental",
    description: "Remembers what it is given.",
    config: Schema.Struct({}),
    layer: () => Layer.succeed(Backend, backend)
  })

const train = Effect.gen(function* () {
  for (let step = 0; step < 50; step++) {
    for (let rank = 0; rank < 4; rank++) yield* Tracker.log({ loss: step + rank }, { step, context: { rank } })
    yield* Tracker.log({ busy: step }, { step })
  }
}).pipe(Tracker.withRun({ project: "p", name: "n" }))

describe("an app with stateful processors", () => {
  it.live("delivers what was captured, and what was derived of it, past its pure processors", () =>
    Effect.gen(function* () {
      const service = Ranks.makeService(never)
      const layer = Tracelet.layer({
        drain: "5 seconds",
        backends: { service: pluginOf(service.backend).plugin() },
        processors: [
          Reduce.plugin({ by: "mean", ranks: 4 }),
          Throttle.plugin({ every: "1 hour", series: "busy" }),
          Processor.rename({ "l(.*)": "train/l$1" })
        ]
      }).pipe(Layer.provide(Journal.layerMemory))
      yield* Effect.provide(train, layer)
      const [mean = [], busy = []] = Object.values(service.derived()).toSorted((a, b) => b.length - a.length)
      assert.deepStrictEqual(
        mean,
        Array.from({ length: 50 }, (_, step) => `train/loss {"reduce":"mean"} ${step} ${step + 1.5}`)
      )
      assert.deepStrictEqual(busy, ["busy {} 0 0", "busy {} 49 49"])
      assert.strictEqual(service.captured().length, 200)
      assert.isTrue(service.captured().every((said) => said.startsWith("train/loss")))
    })
  )

  it.live("is refused two of one name, and a config that is not usable", () =>
    Effect.gen(function* () {
      const service = Ranks.makeService(never)
      const build = (...processors: ReadonlyArray<ReturnType<typeof Reduce.plugin>>) =>
        Tracelet.layer({ backends: { service: pluginOf(service.backend).plugin() }, processors }).pipe(
          Layer.provide(Journal.layerMemory),
          Layer.build,
          Effect.scoped,
          Effect.flip
        )
      const messageOf = (error: unknown) => (error instanceof Error ? error.message : "")
      const mean = Reduce.plugin({ by: "mean", ranks: 4 })
      assert.include(messageOf(yield* build(mean, mean)), 'Two processors are called "reduce-mean"')
      const bad = Reduce.plugin({ by: "mean", ranks: 0, series: "(" })
      const message = messageOf(yield* build(bad))
      assert.include(message, "processor.reduce")
      assert.include(message, "ranks")
      assert.include(message, "is no regular expression")
    })
  )
})

describe("a host", () => {
  /** Four ranks that have ended, on a disk. */
  const recorded = Effect.gen(function* () {
    const machine = new ModelDisk(random(3))
    const job = yield* Ranks.startRanks(machine)
    for (const action of Ranks.script(random(3), 5)) yield* job.log(action)
    for (let rank = 0; rank < Ranks.ranks; rank++) yield* job.end(rank)
    return machine
  })

  const host = (machine: ModelDisk, name: string, stateful: ReadonlyArray<Configured>) =>
    Effect.gen(function* () {
      const { storage } = machine.boot(Number.POSITIVE_INFINITY)
      const service = Ranks.makeService(never)
      const target = { backend: service.backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
      const journalLayer = Layer.provide(Journal.layerFile({ dir: "d" }), Layer.succeed(JournalStorage, storage))
      return yield* Effect.gen(function* () {
        const run = yield* (yield* Journal.Journal).open(Ranks.run)
        yield* run.writersNow
        const scope = yield* Scope.make()
        const delivery = yield* Scope.provide(deliver(run, Ranks.started, new Map([[name, target]]), stateful), scope)
        assert.isDefined(delivery)
        yield* delivery.settled
        const standing = (yield* delivery.backends).get(name)
        yield* Scope.close(scope, Exit.void)
        return { standing, service, kept: yield* standingFromCursor(run, name), all: yield* run.countFrom(new Map()) }
      }).pipe(Effect.provide(journalLayer), Effect.scoped)
    }).pipe(Effect.provide(Logger.layer([])))

  it.live("counts derived events for a backend, and captured ones for the run", () =>
    Effect.gen(function* () {
      const machine = yield* recorded
      const stateful = yield* Ranks.processors
      const { standing, kept, service, all } = yield* host(machine, "service", stateful)
      const captured = Ranks.script(random(3), 5).length
      const derived = Object.values(service.derived()).flat().length
      assert.isAbove(derived, 5)
      assert.strictEqual(standing?.state, "done")
      assert.strictEqual(standing?.pending, 0)
      // What the throttle takes in in the place of the backends is filtered.
      assert.strictEqual(standing?.delivered, service.captured().length + derived)
      assert.isBelow(service.captured().length, captured)
      assert.deepStrictEqual([kept.delivered, kept.pending, kept.state], [standing?.delivered, 0, "done"])
      assert.strictEqual(all.points, captured)
      assert.strictEqual(all.events, captured + derived)
      // A backend that is new has all of it before it.
      const late = yield* host(machine, "late", stateful)
      assert.strictEqual(late.standing?.delivered, standing?.delivered)
      assert.deepStrictEqual(late.service.derived(), service.derived())
    })
  )

  it.live("J11.7: archives a run only when all that was derived of it is confirmed too", () =>
    Effect.gen(function* () {
      const machine = yield* recorded
      yield* host(machine, "service", yield* Ranks.processors)
      const { storage } = machine.boot(Number.POSITIVE_INFINITY)
      const layer = Layer.provide(Journal.layerFile({ dir: "d" }), Layer.succeed(JournalStorage, storage))
      yield* Effect.gen(function* () {
        const run = yield* (yield* Journal.Journal).open(Ranks.run)
        assert.isUndefined(yield* Archive.obstacle(run))
        const cursor = yield* run.cursor("service")
        if (cursor === undefined || cursor === "damaged") return yield* Effect.die("no cursor")
        const derived = Object.keys(cursor.writers).filter((id) => id.startsWith("derived-"))
        assert.isAbove(derived.length, 2)
        for (const id of derived) {
          const { [id]: mark, ...others } = cursor.writers
          for (const writers of [others, { ...others, [id]: { position: (mark?.position ?? 0) - 8, index: 0 } }]) {
            yield* run.saveCursor({ ...cursor, writers }, { sync: false })
            assert.strictEqual(yield* Archive.obstacle(run), "service has not confirmed all that was derived of it")
          }
        }
      }).pipe(Effect.provide(layer), Effect.scoped)
    })
  )

  it.live("J7.3, J13.8: that lacks a processor, or has it otherwise, holds the lanes and says so", () =>
    Effect.gen(function* () {
      const machine = yield* recorded
      const stateful = yield* Ranks.processors
      yield* host(machine, "service", stateful)
      const without = yield* host(machine, "service", [])
      assert.deepStrictEqual([without.standing?.state, without.standing?.pending], ["held", 0])
      // A backend whose cursor is not there yet, so that nothing is pinned.
      const late = yield* host(machine, "late", [])
      assert.strictEqual(late.standing?.state, "held")
      assert.match(late.standing?.reason ?? "", /has the derived journal \S+, and this host has no such processor/)
      assert.deepStrictEqual(late.service.captured(), [])
      const other = stateful.map((one) => ({ ...one, config: { ...one.config, heldMax: 5 } }))
      const otherwise = yield* host(machine, "other", other)
      assert.strictEqual(otherwise.standing?.state, "held")
      assert.include(otherwise.standing?.reason ?? "", "begun by processor.")
      assert.deepStrictEqual(Object.values(otherwise.service.derived()), [])
    })
  )
})
