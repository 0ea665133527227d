import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import { BackendError, poison, Throttled, transient, Unauthorised } from "../src/BackendError.ts"
import { CircuitBreaker, failuresMax, waitAfter } from "../src/CircuitBreaker.ts"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { deliver, type RunDelivery } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import * as Recording from "./support/RecordingBackend.ts"

const lanes = 20
const permits = 4

const layer = () =>
  Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, makeMemory().storage)))

/** `count` runs of `points` points each, under delivery to one backend. */
const runs = (recording: ReturnType<typeof Recording.make>, count: number, points = 1) =>
  Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const breaker = new CircuitBreaker()
    const shared = Semaphore.makeUnsafe(permits)
    const deliveries: Array<RunDelivery> = []
    for (let i = 0; i < count; i++) {
      const run = RunId.make(`run${String(i).padStart(4, "0")}`)
      const started = runStarted(run, { time: 1, name: "n" })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const writer = yield* journal.write({ run, role: "primary" })
          writer.event(started)
          for (let step = 0; step < points; step++) writer.point("loss", i * points + step, step, undefined, 1)
          writer.event({ _tag: "RunFinished", time: 9, status: "finished" })
          yield* writer.commit
        })
      )
      const target = { backend: recording.backend, route: undefined, processors: [], permits: shared, breaker }
      const delivery = yield* deliver(yield* journal.open(run), started, new Map([["service", target]]))
      if (delivery !== undefined) deliveries.push(delivery)
    }
    const states = Effect.forEach(deliveries, ({ backends }) => Effect.map(backends, (all) => all.get("service")))
    return { deliveries, states }
  })

const advance = (seconds: number) =>
  Effect.gen(function* () {
    for (let i = 0; i < seconds * 2; i++) yield* TestClock.adjust(500)
  })

const error = (message: string, reason: BackendError["reason"]) =>
  new BackendError({ backend: "service", message, reason })

describe("a circuit breaker", () => {
  it.effect(
    "lets one lane at a time try a service that is down, says so in the others, and all go when it is back",
    () =>
      Effect.gen(function* () {
        let isDown = true
        const recording = Recording.make([], () => (isDown ? transient("service", "no answer") : undefined))
        const { deliveries, states } = yield* runs(recording, lanes)
        yield* advance(60)
        const before = recording.writes()
        yield* advance(3_600)
        // One of all lanes, 30 s apart on average.
        assert.isAtMost(recording.writes() - before, 200)
        assert.isAtLeast(recording.writes() - before, 60)
        const waiting = yield* states
        assert.isTrue(waiting.every((one) => one?.state === "waiting" && one.pending === 1))
        const told = waiting.filter((one) => /no answer. It has failed \d+ times in a row/.test(one?.reason ?? ""))
        assert.isAtLeast(told.length, lanes - 1)
        isDown = false
        yield* advance(120)
        assert.isTrue(deliveries.every(({ isDone }) => isDone()))
        assert.strictEqual(recording.points.length, lanes)
      }).pipe(Effect.provide(layer()), Effect.scoped)
  )

  it.effect("keeps all lanes from a service that asked one of them to wait", () =>
    Effect.gen(function* () {
      const recording = Recording.make([{ fail: error("too many", new Throttled({ retryAfterSeconds: 60 })) }])
      const { deliveries, states } = yield* runs(recording, lanes)
      yield* advance(59)
      assert.strictEqual(recording.writes(), 1)
      assert.isTrue((yield* states).every((one) => one?.state === "waiting" && one.reason?.startsWith("too many")))
      yield* advance(60)
      assert.isTrue(deliveries.every(({ isDone }) => isDone()))
    }).pipe(Effect.provide(layer()), Effect.scoped)
  )

  it.effect("bounds what a service may ask for, and does not hammer one that asks for nothing", () =>
    Effect.gen(function* () {
      let isBusy = true
      const asked = [1e9, 0]
      const recording = Recording.make([], () =>
        isBusy ? error("too many", new Throttled({ retryAfterSeconds: asked.shift() ?? 0 })) : undefined
      )
      const { deliveries } = yield* runs(recording, 1)
      yield* advance(3_590)
      assert.strictEqual(recording.writes(), 1)
      yield* advance(3_600)
      assert.isBelow(recording.writes(), 200)
      isBusy = false
      yield* advance(120)
      assert.isTrue(deliveries[0]?.isDone())
    }).pipe(Effect.provide(layer()), Effect.scoped)
  )

  it.effect("logs in again once, then holds all lanes, and lets them go when credentials were given anew", () =>
    Effect.gen(function* () {
      let isRefused = true
      const recording = Recording.make([], () => (isRefused ? error("401", new Unauthorised()) : undefined))
      const { deliveries, states } = yield* runs(recording, lanes)
      yield* advance(600)
      assert.strictEqual(recording.writes(), 2)
      assert.isTrue((yield* states).every((one) => one?.state === "held" && one.reason === "401"))
      assert.isTrue(deliveries.every(({ isSettled }) => isSettled()))
      isRefused = false
      yield* deliveries[3]?.wake ?? Effect.void
      yield* advance(30)
      assert.isTrue(deliveries.every(({ isDone }) => isDone()))
      assert.strictEqual(recording.points.length, lanes)
    }).pipe(Effect.provide(layer()), Effect.scoped)
  )

  it.effect("tries a refused login again by itself, rarely, and however often it is woken not at once", () =>
    Effect.gen(function* () {
      const refused = error("401", new Unauthorised())
      let isRefused = true
      const recording = Recording.make([], () => (isRefused ? refused : undefined))
      const { deliveries } = yield* runs(recording, 1)
      yield* advance(24 * 3_600)
      assert.isAtMost(recording.writes(), 2 + 24 * 4)
      const before = recording.writes()
      for (let i = 0; i < 200; i++) {
        yield* deliveries[0]?.wake ?? Effect.void
        yield* TestClock.adjust(10)
      }
      assert.isAtMost(recording.writes() - before, 2)
      isRefused = false
      yield* advance(16 * 60)
      assert.isTrue(deliveries[0]?.isDone())
    }).pipe(Effect.provide(layer()), Effect.scoped)
  )

  it.effect(
    "waits anywhere between nothing and a limit that doubles up to a minute, and as long as was asked for",
    () =>
      Effect.gen(function* () {
        for (const failures of [1, 2, 5, 9, 1_000]) {
          const limit = Math.min(200 * 2 ** (failures - 1), 60_000)
          const waits = yield* Effect.forEach(Array.from({ length: 200 }), () => waitAfter(failures))
          const all = waits.map(Duration.toMillis)
          assert.isAtMost(Math.max(...all), limit)
          assert.isAbove(Math.max(...all), limit * 0.8)
          assert.isBelow(Math.min(...all), limit * 0.2)
        }
        assert.isAbove(failuresMax, 1)
      })
  )
})

describe("a batch that is refused as a whole", () => {
  it.effect("is bisected with few requests: three of a thousand events go to the dead letter, the others through", () =>
    Effect.gen(function* () {
      const bad = new Set([17, 500, 501])
      const recording = Recording.make([], ({ value }) =>
        bad.has(value) ? poison("service", `no ${value}`) : undefined
      )
      const { deliveries, states } = yield* runs(recording, 1, 1_000)
      yield* advance(30)
      assert.isTrue(deliveries[0]?.isDone())
      assert.deepInclude((yield* states)[0], { delivered: 997, deadLetter: 3, pending: 0, state: "done" })
      assert.deepStrictEqual(
        recording.points.map(({ value }) => value),
        Array.from({ length: 1_000 }, (_, i) => i).filter((value) => !bad.has(value))
      )
      // 2 × log₂ 1000 for each that stands alone would be 60.
      assert.isAtMost(recording.writes(), 45)
    }).pipe(Effect.provide(layer()), Effect.scoped)
  )
})
