/**
 * A run's delivery goes from host to host on a network file system, where none sees another's locks (`support/hosts.ts`). A host that delivers may stop anywhere, for good or until another has taken over.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import { Backend, type Batch } from "../src/Backend.ts"
import { transient } from "../src/BackendError.ts"
import type { Capabilities } from "../src/Capabilities.ts"
import * as Cursor from "../src/Cursor.ts"
import * as Journal from "../src/Journal.ts"
import { deliver, type RunDelivery } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import type { RunStarted } from "../src/RunEvent.ts"
import { accepted } from "../src/WriteReport.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import { random } from "./support/histories.ts"
import { makeHost, type Host } from "./support/hosts.ts"
import * as Oracle from "./support/oracle.ts"

const histories = Math.ceil(Number(process.env["HISTORIES"] ?? 3_000) / 10)
const together = 50
const firstSeed = Number(process.env["SEED"] ?? 1)

type Random = ReturnType<typeof random>

const run = RunId.make("0123456789abcdef")
const started: RunStarted = {
  _tag: "RunStarted",
  time: 1,
  run: { id: run, project: "p", name: "n", tags: {} },
  backends: [],
  client: { language: "typescript", version: "", tracelet: "" }
}
const batchMax = 5
const points = 60

/** A service that all hosts reach, over a network that takes its time. It knows a resend by the event's position, or not at all. */
const makeService = (rng: Random, identity: Capabilities["identity"]) => {
  const delivered: Array<Oracle.Said> = []
  const known = new Set<string>()
  const backendOf = (host: Host) =>
    Backend.of({
      capabilities: {
        kinds: new Set(["points"]),
        identity,
        limits: { points: batchMax, bytes: 10_000 },
        values: { nan: true, infinity: true, negativeZero: true },
        steps: { negative: true, repeated: true, late: true },
        degradations: []
      },
      open: () =>
        Effect.succeed({
          remote: "r",
          confirmed: undefined,
          write: (batch: Batch) =>
            Effect.gen(function* () {
              yield* host.gated(Effect.sleep(rng.below(40)))
              yield* host.gate.await
              if (rng.next() < 0.05) return yield* transient("service", "down")
              for (const event of batch.events) {
                if (event._tag !== "PointBatch") continue
                for (let i = 0; i < event.count; i++) {
                  const position = `${event.positions[i]}.${event.indices[i]}`
                  if (identity === "point" && known.has(position)) continue
                  known.add(position)
                  delivered.push(`point ${event.values[i]}`)
                }
              }
              yield* host.gated(Effect.sleep(rng.below(20)))
              return accepted
            }),
          close: () => Effect.void
        })
    })
  return { backendOf, delivered }
}

/** Delivers from a host until it is told to stop. */
const begin = (host: Host, backend: Backend["Service"], takeOver: boolean) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const delivery: { current: RunDelivery | undefined } = { current: undefined }
    const fiber = yield* Effect.gen(function* () {
      const opened = yield* (yield* Journal.Journal).open(run)
      const target = { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
      delivery.current = yield* deliver(opened, started, new Map([["service", target]]), [], { takeOver })
      return yield* Effect.never
    }).pipe(Effect.provide(host.layer), Scope.provide(scope), Effect.forkDetach({ startImmediately: true }))
    const kill = Effect.andThen(
      Effect.sync(() => fiber.interruptUnsafe()),
      Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
    )
    return { delivery, kill }
  })

const history = Effect.fnUntraced(function* (seed: number) {
  const rng = random(seed)
  const identity = seed % 2 === 0 ? "point" : "none"
  const memory = makeMemory()
  const service = makeService(rng, identity)
  const trainer = makeHost(memory, "compute")
  const logged: Array<Oracle.Said> = []

  // The trainer's host logs and delivers, until it stops somewhere.
  const writing = yield* Effect.gen(function* () {
    const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
    writer.event(started)
    yield* writer.flush
    for (let i = 0; i < points; i++) {
      writer.point("loss", i, undefined, undefined, 1)
      logged.push(`point ${i}`)
      if (rng.next() < 0.3) yield* Effect.sleep(rng.below(30))
    }
    yield* writer.flush
  }).pipe(Effect.scoped, Effect.provide(trainer.layer), Effect.forkDetach({ startImmediately: true }))
  let now = yield* begin(trainer, service.backendOf(trainer), false)
  let host: Host = trainer
  const stopped: Array<Host> = []
  let takeOvers = 0
  for (let turn = 1 + rng.below(3); turn > 0; turn--) {
    yield* Effect.sleep(rng.below(400))
    const isKilled = rng.next() < 0.4
    if (isKilled) yield* now.kill
    else {
      host.gate.closeUnsafe()
      stopped.push(host)
    }
    yield* Effect.sleep(rng.below(200))
    host = makeHost(memory, `host${turn}`)
    takeOvers++
    now = yield* begin(host, service.backendOf(host), true)
    yield* Effect.sleep(rng.below(200))
    // One that was stopped goes on, in the middle of whatever it did.
    if (rng.next() < 0.7) stopped.shift()?.gate.openUnsafe()
  }
  // Whoever is left takes over in the end, and the others go on beside it.
  const last = makeHost(memory, "last")
  takeOvers++
  const end = yield* begin(last, service.backendOf(last), true)
  yield* Effect.sleep(rng.below(200))
  for (const one of stopped) one.gate.openUnsafe()
  trainer.gate.openUnsafe()
  yield* Fiber.join(writing)
  for (let i = 0; i < 100 && new Set(service.delivered).size < points; i++) yield* Effect.sleep(500)
  yield* Effect.sleep(5_000)

  const found: Array<string> = []
  const delivery = end.delivery.current
  const standing = delivery === undefined ? undefined : (yield* delivery.backends).get("service")
  if (standing?.pending !== 0) found.push(`not done: ${JSON.stringify(standing)}`)
  const cursor = yield* Effect.gen(function* () {
    return yield* (yield* (yield* Journal.Journal).open(run)).cursor("service")
  }).pipe(Effect.scoped, Effect.provide(last.layer))
  if (cursor === undefined || cursor === "damaged") found.push("no cursor")
  else {
    if (cursor.epoch !== cursor.takeOvers?.at(-1)?.epoch)
      found.push(`epoch ${cursor.epoch} is not the last take-over's`)
    if (identity === "none" && Cursor.uncertainty(cursor) === undefined) found.push("nothing says that it is uncertain")
    if (identity === "point" && Cursor.uncertainty(cursor) !== undefined)
      found.push("says without need that it is uncertain")
  }
  const unique = [...new Set(service.delivered)]
  const doubled = service.delivered.length - unique.length
  const account = { logged, acknowledged: points, dead: [], kept: [] }
  if (identity === "point") found.push(...Oracle.findings({ ...account, delivered: service.delivered }))
  else {
    found.push(...Oracle.findings({ ...account, delivered: unique.toSorted(byNumber) }))
    // Of each host that had something in flight when it was taken over at most that.
    if (doubled > batchMax * takeOvers) found.push(`${doubled} doubled by ${takeOvers} take-overs`)
  }
  return { found, doubled }
})

const byNumber = (a: string, b: string): number => Number(a.slice(6)) - Number(b.slice(6))

describe(`take-over, over ${histories} generated histories`, () => {
  it.effect(
    "J7.4: loses nothing and doubles nothing that can be told; of the rest at most what was in flight, and it says so",
    () =>
      Effect.gen(function* () {
        let doubled = 0
        const check = (seed: number) =>
          Effect.map(history(seed), (outcome) => {
            assert.deepStrictEqual(outcome.found, [], `SEED=${seed} HISTORIES=1 repeats it`)
            doubled += outcome.doubled
          })
        for (let seed = firstSeed; seed < firstSeed + histories; seed += together) {
          const seeds = Array.from({ length: Math.min(together, firstSeed + histories - seed) }, (_, i) => seed + i)
          const all = yield* Effect.forkChild(Effect.forEach(seeds, check, { concurrency: together, discard: true }))
          for (let turn = 0; all.pollUnsafe() === undefined; turn++) yield* TestClock.adjust(turn < 300 ? 20 : 500)
          yield* Fiber.join(all)
        }
        // What is in flight is met often enough for that to mean something.
        assert.isAbove(doubled, histories / 20)
      }).pipe(Effect.provide(Logger.layer([]))),
    { timeout: 1_800_000 }
  )
})

describe("on a network file system", () => {
  const setUp = Effect.gen(function* () {
    const memory = makeMemory()
    const service = makeService(random(1), "point")
    const [compute, login, desk] = ["compute", "login", "desk"].map((name) => makeHost(memory, name))
    if (compute === undefined || login === undefined || desk === undefined) return yield* Effect.die("three hosts")
    yield* Effect.gen(function* () {
      const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
      writer.event(started)
      for (let i = 0; i < 20; i++) writer.point("loss", i, undefined, undefined, 1)
      yield* writer.flush
    }).pipe(Effect.scoped, Effect.provide(compute.layer))
    return { memory, service, compute, login, desk }
  })
  const reasonOf = (lane: { readonly delivery: { readonly current: RunDelivery | undefined } }) =>
    Effect.gen(function* () {
      yield* Effect.sleep("300 millis")
      const backends = yield* lane.delivery.current?.backends ?? Effect.succeed(new Map())
      return backends.get("service")
    })

  it.live("J7.4, J8.4: another host's run is held until it is taken over, and then the other one's is", () =>
    Effect.gen(function* () {
      const { service, compute, login, desk } = yield* setUp
      const refused = yield* begin(login, service.backendOf(login), false)
      const held = yield* reasonOf(refused)
      assert.strictEqual(held?.state, "held")
      assert.match(held?.reason ?? "", /Its writers are of compute.*`tracelet sync --take-over`/)
      assert.deepStrictEqual(service.delivered, [])
      yield* refused.kill
      const first = yield* begin(compute, service.backendOf(compute), false)
      yield* Effect.sleep("1 second")
      assert.strictEqual(service.delivered.length, 20)
      const taken = yield* begin(login, service.backendOf(login), true)
      assert.strictEqual((yield* reasonOf(taken))?.pending, 0)
      // More is logged: the first one finds the greater epoch, and stops.
      yield* Effect.gen(function* () {
        const writer = yield* (yield* Journal.Journal).write({ run, role: "primary" })
        writer.point("loss", 20, undefined, undefined, 1)
        yield* writer.flush
      }).pipe(Effect.scoped, Effect.provide(compute.layer))
      yield* Effect.sleep("2 seconds")
      assert.strictEqual(service.delivered.length, 21)
      const stopped = yield* reasonOf(first)
      assert.strictEqual(stopped?.state, "held")
      assert.match(stopped?.reason ?? "", /Another host has taken over .*epoch 1, here it was 0/)
      // Nor does it go on when it begins anew, or a third one, unless somebody says so.
      for (const host of [compute, desk]) {
        const again = yield* begin(host, service.backendOf(host), false)
        const standing = host === compute ? stopped : yield* reasonOf(again)
        assert.strictEqual(standing?.state, "held")
        yield* again.kill
      }
      yield* first.kill
      yield* taken.kill
    })
  )

  it.live(
    "J7.4: of two that take over at once one gets the epoch, and a take-over that was cut off is begun anew",
    () =>
      Effect.gen(function* () {
        const { memory, service, login, desk } = yield* setUp
        const outcomes = yield* Effect.forEach(
          [login, desk],
          (host) =>
            Effect.scoped(
              Effect.gen(function* () {
                const opened = yield* (yield* Journal.Journal).open(run)
                return yield* opened.takeOver({
                  version: 1,
                  run,
                  backend: "service",
                  epoch: 1,
                  pin: { route: null, processors: [] },
                  remote: null,
                  writers: {},
                  counts: Cursor.noCounts,
                  intents: [],
                  closed: false
                })
              })
            ).pipe(Effect.provide(host.layer)),
          { concurrency: 2 }
        )
        assert.strictEqual(outcomes.filter((isTaken) => isTaken).length, 1)
        memory.files.set(`d/runs/${run}/cursors/service.1.json`, new Uint8Array())
        const taken = yield* begin(desk, service.backendOf(desk), true)
        yield* Effect.sleep("1 second")
        assert.strictEqual(service.delivered.length, 20)
        assert.isTrue(memory.files.has(`d/runs/${run}/cursors/service.2.json`))
        yield* taken.kill
      })
  )
})
