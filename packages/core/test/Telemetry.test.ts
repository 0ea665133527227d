import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import { TestClock } from "effect/testing"
import { describe, expect } from "vitest"
import { held, poison, transient } from "../src/BackendError.ts"
import * as Journal from "../src/Journal.ts"
import { deliver } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import { runStarted, type RunStarted } from "../src/RunEvent.ts"
import * as Telemetry from "../src/Telemetry.ts"
import * as Tracelet from "../src/Tracelet.ts"
import * as Tracker from "../src/Tracker.ts"
import * as Recording from "./support/RecordingBackend.ts"

/** A tracer that keeps what it is given, as an exporter would see it. */
const makeTracer = () => {
  const made: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      made.push(span)
      return span
    }
  })
  const named = (name: string) => made.filter((span) => span.name === name)
  return { tracer, made, named }
}

const said = (span: Tracer.NativeSpan | undefined, ...keys: ReadonlyArray<keyof typeof Telemetry.attributes>) =>
  keys.map((key) => span?.attributes.get(Telemetry.attributes[key].name))

/** What an exporter can print of how a span ended. */
const failureOf = ({ status }: Tracer.NativeSpan): string =>
  status._tag === "Ended" && Exit.isFailure(status.exit)
    ? Cause.prettyErrors(status.exit.cause, { includeCauseInStack: true })
        .map(({ message, name, stack }) => `${name}|${message}|${stack}`)
        .join()
    : ""

const tracking = (recording: ReturnType<typeof Recording.make>) =>
  Tracelet.layer({ drain: "5 seconds", backends: { memory: Recording.plugin(recording).plugin() } }).pipe(
    Layer.provideMerge(Journal.layerMemory)
  )

const id = RunId.make("0123456789abcdef")
const trace = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" }

/** A run of three points in a journal, delivered for `seconds` of virtual time; then what its metrics are. */
const deliverThree = (recording: ReturnType<typeof Recording.make>, seconds: number, more: Partial<RunStarted> = {}) =>
  Effect.gen(function* () {
    const started = { ...runStarted(id, { time: 1, name: "n" }), ...more }
    yield* Effect.scoped(
      Effect.gen(function* () {
        const writer = yield* (yield* Journal.Journal).write({ run: id, role: "primary" })
        writer.event(started)
        for (const value of [1, 2, 3]) writer.point("loss", value, undefined, undefined, 1)
        yield* writer.commit
      })
    )
    return yield* Effect.scoped(
      Effect.gen(function* () {
        const run = yield* (yield* Journal.Journal).open(id)
        const target = {
          backend: recording.backend,
          route: undefined,
          processors: [],
          permits: Semaphore.makeUnsafe(1)
        }
        yield* deliver(run, started, new Map([["service", target]]))
        for (let i = 0; i < seconds * 2; i++) yield* TestClock.adjust(500)
        return yield* metricsNow
      })
    )
  }).pipe(Effect.provide(Journal.layerMemory))

const metricsNow = Effect.map(Metric.snapshot, (snapshot) => {
  const own = snapshot.filter(({ attributes }) => attributes?.["tracelet.backend"] === "service")
  return Object.fromEntries(
    own.map((metric) => [
      metric.id,
      metric.type === "Counter" ? metric.state.count : metric.type === "Gauge" ? metric.state.value : undefined
    ])
  )
})

const parentOf = (span: Tracer.NativeSpan | undefined): string | undefined =>
  span?.parent._tag === "Some" ? span.parent.value.spanId : undefined

describe("the span of a run", () => {
  it.live("is a child of the one the run was begun under, lasts to its end and says how that was", () =>
    Effect.gen(function* () {
      const { tracer, named } = makeTracer()
      const recording = Recording.make()
      yield* Tracker.log({ loss: 1 }).pipe(
        Effect.andThen(Effect.withSpan(Effect.void, "step")),
        Tracker.withRun({ project: "p", name: "n" }),
        Effect.withSpan("request"),
        Effect.provide(tracking(recording)),
        Effect.provideService(Tracer.Tracer, tracer)
      )
      const [request] = named("request")
      const [span] = named("tracelet.run")
      const [opened] = recording.opened
      assert.strictEqual(span?.status._tag, "Ended")
      assert.deepStrictEqual(said(span, "runId", "runName", "project", "status"), [
        opened?.run.id,
        "n",
        "p",
        "finished"
      ])
      assert.strictEqual(parentOf(span), request?.spanId)
      assert.strictEqual(parentOf(named("step")[0]), span?.spanId)
      assert.deepStrictEqual(opened?.started.trace, { traceId: request?.traceId, spanId: request?.spanId })
    })
  )

  it.live("is what the record names where it is the first of its trace, and ends with the failure of the run", () =>
    Effect.gen(function* () {
      const { tracer, named } = makeTracer()
      const recording = Recording.make()
      yield* Effect.fail(new Tracker.BufferFull({ message: "too much" })).pipe(
        Tracker.withRun(),
        Effect.ignore,
        Effect.provide(tracking(recording)),
        Effect.provideService(Tracer.Tracer, tracer)
      )
      const [span] = named("tracelet.run")
      assert.deepStrictEqual(recording.opened[0]?.started.trace, { traceId: span?.traceId, spanId: span?.spanId })
      assert.deepStrictEqual(said(span, "status", "errorType"), ["failed", "BufferFull"])
    })
  )

  it.live("is not made where no tracer is installed, and the record names the current span all the same", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const outer = yield* Effect.currentParentSpan.pipe(
        Tracker.withRun(),
        Effect.withParentSpan(Tracer.externalSpan(trace)),
        Effect.provide(tracking(recording))
      )
      yield* Effect.provide(Tracker.withRun()(Effect.void), tracking(recording))
      assert.strictEqual(outer.spanId, trace.spanId)
      assert.deepStrictEqual(
        recording.opened.map(({ started }) => started.trace),
        [trace, undefined]
      )
    })
  )

  it.live("has beside it one for each plugin that starts", () =>
    Effect.gen(function* () {
      const { tracer, named } = makeTracer()
      yield* Effect.void.pipe(Effect.provide(tracking(Recording.make())), Effect.provideService(Tracer.Tracer, tracer))
      assert.deepStrictEqual(
        named("tracelet.plugin.start").map((span) => said(span, "plugin", "backend")),
        [["backend.recording", "memory"]]
      )
    })
  )
})

describe("the spans of delivery", () => {
  it.effect("are one for each call, begin a trace of their own and link to the one the run was begun under", () =>
    Effect.gen(function* () {
      const { tracer, made } = makeTracer()
      yield* deliverThree(Recording.make(), 3, { trace }).pipe(
        Effect.withSpan("whoever delivers"),
        Effect.provideService(Tracer.Tracer, tracer)
      )
      const [open, write, close, ...more] = made.filter(({ name }) => name.startsWith("tracelet."))
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(
        [open?.name, write?.name, close?.name],
        ["tracelet.open", "tracelet.write", "tracelet.close"]
      )
      for (const span of [open, write, close]) {
        assert.isUndefined(parentOf(span))
        assert.deepInclude(span?.links[0]?.span, trace)
        assert.deepStrictEqual(said(span, "backend", "runId", "attempt", "outcome"), ["service", id, 1, "accepted"])
      }
      assert.deepStrictEqual(said(write, "events", "rejected"), [3, 0])
      assert.isAbove(Number(said(write, "bytes")[0]), 3 * 28)
      assert.deepStrictEqual(said(close, "status"), ["killed"])
    })
  )

  it.effect("say the attempt and the outcome, and of a failure its message and nothing of its cause", () =>
    Effect.gen(function* () {
      const { tracer, named } = makeTracer()
      const cause = new Error("POST http://user:hunter2@service/ failed", {
        cause: { authorization: "Bearer hunter2" }
      })
      const recording = Recording.make([
        { fail: transient("service", "no answer", cause) },
        { report: () => ({ rejected: [], retryFrom: { event: 0, index: 1 } }) },
        { fail: poison("service", "refused", cause) },
        { report: () => ({ rejected: [{ event: 0, index: 0, reason: "no" }], retryFrom: undefined }) },
        { fail: held("service", "deleted", cause) }
      ])
      yield* deliverThree(recording, 5).pipe(Effect.provideService(Tracer.Tracer, tracer))
      const writes = named("tracelet.write")
      assert.deepStrictEqual(
        writes.map((span) => said(span, "events", "attempt", "outcome", "rejected", "errorType")),
        [
          [3, 1, "retry", undefined, "Transient"],
          [3, 2, "retry", 0, undefined],
          [2, 1, "poison", undefined, "Poison"],
          [1, 1, "rejected", 1, undefined],
          [1, 1, "held", undefined, "Held"]
        ]
      )
      const failures = writes.map(failureOf)
      assert.strictEqual(failures[0], "Transient|no answer|Transient: no answer")
      assert.notInclude(failures.join(), "hunter2")
    })
  )
})

describe("the metrics of delivery", () => {
  it.effect("count what was captured once, and what became of it", () =>
    Effect.gen(function* () {
      const recording = Recording.make([
        { fail: transient("service", "no answer") },
        { report: () => ({ rejected: [{ event: 0, index: 0, reason: "no" }], retryFrom: undefined }) }
      ])
      assert.deepStrictEqual(yield* deliverThree(recording, 5), {
        "tracelet.event.captured": 3,
        "tracelet.event.delivered": 2,
        "tracelet.event.rejected": 1,
        "tracelet.event.retried": 3,
        "tracelet.lag.duration": 0
      })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("tell how far a backend lags behind that does not answer, and forget a lane that is gone", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000)
      const during = yield* deliverThree(Recording.make([{ hang: true }]), 120)
      assert.deepStrictEqual(during, {
        "tracelet.event.captured": 3,
        "tracelet.lag.events": 3,
        // The points were captured at second 1, and the last look was at 121.
        "tracelet.lag.duration": 120
      })
      assert.deepInclude(yield* metricsNow, { "tracelet.lag.events": 0, "tracelet.lag.duration": 0 })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("docs/reference/telemetry.md", () => {
  it("has the tables as they are in the source", async () => {
    const cell = (text: string) => text.replaceAll("|", "\\|")
    const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
      [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n")
    const code = (text: string) => `\`${text}\``
    const tables = [
      table(
        ["span", "what it is", "attributes"],
        Object.values(Telemetry.spans).map(({ name, description, attributes }) => [
          code(name),
          description,
          attributes.map((key) => code(Telemetry.attributes[key].name)).join(", ")
        ])
      ),
      table(
        ["attribute", "what it says"],
        Object.values(Telemetry.attributes).map(({ name, description }) => [code(name), description])
      ),
      table(
        ["metric", "instrument", "what it counts"],
        Object.values(Telemetry.metrics).map((metric) => [
          code(metric.id),
          metric.type === "Gauge" ? "gauge, s" : metric === Telemetry.metrics.lagEvents ? "up-down counter" : "counter",
          metric.description ?? ""
        ])
      )
    ]
    const page = readFileSync(join(import.meta.dirname, "../../../docs/reference/telemetry.md"), "utf8")
    // The formatter pads cells; what they hold is compared.
    const squeezed = page.replaceAll(/ +\|/g, " |").replaceAll(/\| -+ /g, "| --- ")
    for (const text of tables) expect(squeezed).toContain(text)
  })
})
