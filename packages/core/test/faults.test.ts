/** Each way in which `FaultServer` misbehaves, in the middle of a run's delivery: acknowledged is delivered, kept or dead letter, each once, in order. */
import { assert, it } from "@effect/vitest"
import * as Fault from "@tracelet/testing/Fault"
import * as FaultServer from "@tracelet/testing/FaultServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { describe } from "vitest"
import type { BackendStanding } from "../src/BackendStanding.ts"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { deliver, type RunDelivery } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import * as HttpBackend from "./support/HttpBackend.ts"

const run = RunId.make("0123456789abcdef")
const started = runStarted(run, { time: 1, name: "n" })
const points = 2_000

const setUp = (values = Array.from({ length: points }, (_, i) => i)) =>
  Effect.gen(function* () {
    const { files, storage } = makeMemory()
    const service = HttpBackend.makeService()
    const server = yield* FaultServer.make(service.upstream)
    const layer = Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, storage)))
    const journal = yield* Effect.provide(Journal.Journal, layer)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const writer = yield* journal.write({ run, role: "primary" })
        writer.event(started)
        for (const value of values) writer.point("loss", value, undefined, undefined, 1)
        writer.event({ _tag: "RunFinished", time: 9, status: "finished" })
        yield* writer.commit
      })
    )
    const backend = yield* Effect.provide(HttpBackend.make(server.url), FetchHttpClient.layer)
    const target = { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
    const begin = Effect.gen(function* () {
      const delivery = yield* deliver(yield* journal.open(run), started, new Map([["service", target]]))
      assert(delivery !== undefined)
      return delivery
    })
    const dead = () =>
      new TextDecoder()
        .decode(files.get(`d/runs/${run}/deadletter/service.ndjson`))
        .split("\n")
        .filter((line) => line !== "")
        .map((line): unknown => JSON.parse(line).event.value)
    return { begin, dead, server, service }
  })

const standing = ({ backends }: RunDelivery) => Effect.map(backends, (all) => all.get("service"))

/** Looks every few milliseconds, without end: the test's own time-out is the limit. */
const until = (delivery: RunDelivery, is: (one: BackendStanding | undefined) => boolean) =>
  standing(delivery).pipe(
    Effect.tap(() => Effect.sleep(5)),
    Effect.repeat({ until: is })
  )

const isDone = (one: BackendStanding | undefined) => one?.state === "done"

const faults: ReadonlyArray<readonly [string, Fault.Fault]> = [
  ["takes a connection and never answers", Fault.blackHole],
  ["resets in the middle of a request", Fault.resetRequest],
  ["resets in the middle of an answer", Fault.resetAnswer],
  ["does what it is asked and drops the reply", Fault.applyThenReset],
  ["asks to wait for a second", Fault.throttle({ seconds: 1 })],
  ["asks to wait until a date by a clock that is years ahead", Fault.throttle({ dateInMs: 1_000 }, { skewMs: 1e11 })],
  ["answers 503 and asks to wait", Fault.throttle({ seconds: 1 }, { status: 503 })],
  ["answers 500 with a page", Fault.badGateway],
  ["answers half of its JSON", Fault.truncatedAnswer],
  ["answers other JSON", Fault.wrongSchema],
  ["answers a page of somebody else's", Fault.page],
  ["answers a gigabyte in pieces", Fault.hugeAnswer({ isChunked: true })],
  ["answers a gigabyte and says so", Fault.hugeAnswer({ isChunked: false })],
  ["sends on to elsewhere", Fault.redirect("http://127.0.0.1:9/login")],
  ["sends round in a circle", Fault.redirect("/points")],
  ["answers a byte at a time", Fault.trickle(200)],
  ["has the wrong time", Fault.skewedDate(-1e11)]
]

describe("a lane whose service", { concurrent: true }, () => {
  for (const [what, fault] of faults) {
    it.live(`${what}: has all points once and in order`, () =>
      Effect.gen(function* () {
        const { begin, dead, server, service } = yield* setUp()
        // At the first call, in the middle, and twice in a row.
        yield* server.script(fault, Fault.pass, Fault.pass, fault, Fault.pass, fault, fault)
        const delivery = yield* begin
        const last = yield* until(delivery, isDone)
        assert.deepInclude(last, { delivered: points, pending: 0, deadLetter: 0 })
        assert.deepStrictEqual(
          service.values(),
          Array.from({ length: points }, (_, i) => i)
        )
        assert.isEmpty(dead())
        const again = server
          .met()
          .filter(({ fault: met, isApplied, path }) => met !== "Pass" && isApplied && path !== "/")
        // Only the batch whose reply was lost is sent again.
        assert.isAtMost(service.resent(), again.length * HttpBackend.limits.points)
      }).pipe(Effect.scoped)
    )
  }

  it.live("is not there, and comes back: has all points once and in order", () =>
    Effect.gen(function* () {
      const { begin, server, service } = yield* setUp()
      yield* server.refuse
      const delivery = yield* begin
      const down = yield* until(delivery, (one) => one?.state === "waiting")
      assert.match(down?.reason ?? "", /service could not open the run \(GET [^)]*\): the connection was refused/)
      yield* server.listen
      yield* until(delivery, isDone)
      assert.deepStrictEqual(
        service.values(),
        Array.from({ length: points }, (_, i) => i)
      )
    }).pipe(Effect.scoped)
  )

  for (const [what, fault, says] of [
    ["refuses the login", Fault.unauthorised, /Check user, password or token/],
    ["forbids to write", Fault.forbidden, /Ask for the right to write there/]
  ] as const) {
    it.live(`${what} in the middle of a run: is held without asking on, and goes on when somebody has acted`, () =>
      Effect.gen(function* () {
        const { begin, server, service } = yield* setUp()
        yield* server.script(Fault.pass, Fault.pass, Fault.pass)
        yield* server.always(fault)
        const delivery = yield* begin
        const held = yield* until(delivery, (one) => one?.state === "held")
        assert.match(held?.reason ?? "", says)
        assert.notInclude(held?.reason, HttpBackend.secret)
        assert.strictEqual((held?.delivered ?? 0) + (held?.pending ?? 0), points)
        assert.deepStrictEqual(
          service.values(),
          Array.from({ length: held?.delivered ?? 0 }, (_, i) => i)
        )
        assert.isAtMost(server.counts().Status ?? 0, 2)
        yield* server.always(Fault.pass)
        yield* delivery.wake
        yield* until(delivery, isDone)
        assert.deepStrictEqual(
          service.values(),
          Array.from({ length: points }, (_, i) => i)
        )
        assert.strictEqual(service.resent(), 0)
      }).pipe(Effect.scoped)
    )
  }

  it.live("refuses some of the points and drops replies besides: has the others, and the dead letter those", () =>
    Effect.gen(function* () {
      const bad = new Set([3, 777, 778, 1_999])
      const { begin, dead, server, service } = yield* setUp(
        Array.from({ length: points }, (_, i) => (bad.has(i) ? -i : i))
      )
      yield* server.script(...Array.from({ length: 40 }, (_, i) => (i % 4 === 3 ? Fault.applyThenReset : Fault.pass)))
      const delivery = yield* begin
      const last = yield* until(delivery, isDone)
      assert.deepInclude(last, { delivered: points - bad.size, pending: 0, deadLetter: bad.size })
      assert.deepStrictEqual(dead(), [-3, -777, -778, -1_999])
      assert.deepStrictEqual(
        service.values(),
        Array.from({ length: points }, (_, i) => i).filter((value) => !bad.has(value))
      )
    }).pipe(Effect.scoped)
  )
})
