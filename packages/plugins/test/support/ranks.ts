/**
 * A job of four ranks on one machine, generated from a seed, and who delivers it: processes of their own, which may be killed each by itself.
 * The ranks go on at their own pace; one skips steps, one dies early without an end record, all may give a step again.
 */
import { Backend, type Batch } from "@tracelet/core/Backend"
import { transient } from "@tracelet/core/BackendError"
import * as Journal from "@tracelet/core/Journal"
import { JournalStorage } from "@tracelet/core/JournalStorage"
import { deliver } from "@tracelet/core/Pipeline"
import { RunId } from "@tracelet/core/Run"
import { runStarted, type PointBatch } from "@tracelet/core/RunEvent"
import { StatefulProcessor, type Configured } from "@tracelet/core/StatefulProcessor"
import { accepted } from "@tracelet/core/WriteReport"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { random } from "../../../core/test/support/histories.ts"
import { ModelDisk, type Life } from "../../../core/test/support/modelDisk.ts"
import * as Reduce from "../../src/Reduce.ts"
import * as Summarise from "../../src/Summarise.ts"
import * as Throttle from "../../src/Throttle.ts"

type Random = ReturnType<typeof random>

export const run = RunId.make("0123456789abcdef")
export const ranks = 4

export const started = runStarted(run, { time: 1 })

/** The processors that every test here runs side by side. */
export const processors: Effect.Effect<ReadonlyArray<Configured>> = Effect.gen(function* () {
  const plugins = [
    Reduce.plugin({ by: "mean", ranks, heldMax: 12 }),
    Summarise.plugin({ steps: 3, series: "loss" }),
    Throttle.plugin({ every: "1 second", series: "busy" })
  ]
  const configured: Array<Configured> = []
  for (const plugin of plugins) {
    const service = Context.get(yield* Layer.build(plugin.layer), StatefulProcessor)
    configured.push({ ...service, id: plugin.id, version: plugin.version, config: yield* plugin.recorded })
  }
  return configured
}).pipe(Effect.scoped, Effect.orDie)

// ---- what is logged ----

export interface Action {
  readonly rank: number
  readonly name: string
  readonly step: number
  readonly value: number
  /** Seconds after the beginning; no two are equal. */
  readonly at: number
}

/** In the order logged. */
export const script = (rng: Random, steps: number): ReadonlyArray<Action> => {
  const next = [0, 0, 0, 0]
  const actions: Array<Action> = []
  const ends = [steps, steps, steps, Math.ceil(steps / 2)]
  while (next.some((step, rank) => step < (ends[rank] ?? 0))) {
    const rank = rng.below(ranks)
    const step = next[rank] ?? 0
    if (step >= (ends[rank] ?? 0)) continue
    // Rank 2 leaves a step out, and a step may come a second time.
    const skips = rank === 2 && rng.next() < 0.2
    if (!skips) {
      const value = rng.next() < 0.1 ? -0 : rng.next() < 0.05 ? NaN : rng.below(1_000) / 7
      actions.push({ rank, name: rng.next() < 0.2 ? "busy" : "loss", step, value, at: actions.length * 0.25 })
    }
    if (rng.next() < 0.9) next[rank] = step + 1
  }
  return actions
}

const journalOn = (life: Life) =>
  Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, life.storage)))

/** A process whose scope is closed when it ends by itself, and left as it is when it is killed. */
const processOn = (life: Life) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const journal = Context.get(yield* Scope.provide(Layer.build(journalOn(life)), scope), Journal.Journal)
    return { life, scope, journal }
  })

/** Each rank a writer of its own. `log` returns when the point would survive a power cut. */
export const startRanks = Effect.fnUntraced(function* (machine: ModelDisk) {
  const begun = yield* Clock.currentTimeMillis
  const writers = yield* Effect.forEach(Array.from({ length: ranks }), () =>
    Effect.gen(function* () {
      const process = yield* processOn(machine.boot(Number.POSITIVE_INFINITY))
      const writer = yield* Scope.provide(process.journal.write({ run, role: "primary" }), process.scope)
      writer.event(started)
      yield* writer.flush
      return { ...process, writer }
    })
  )
  return {
    log: ({ rank, name, step, value, at }: Action) =>
      Effect.suspend(() => {
        const writer = writers[rank]?.writer
        writer?.point(name, value, step, { rank }, begun / 1000 + at)
        return writer?.flush ?? Effect.void
      }),
    /** Rank 3 has no end record. */
    end: (rank: number) =>
      Effect.suspend(() => {
        const one = writers[rank]
        if (one === undefined) return Effect.void
        if (rank !== 3) one.writer.event({ _tag: "RunFinished", time: begun / 1000, status: "finished" })
        return Scope.close(one.scope, Exit.void)
      })
  }
})

// ---- who delivers ----

/** A service that outlives all of it and knows a resend by its identity. It is down now and then, and loses answers. */
export const makeService = (rng: Random) => {
  /** As it came: `writer name context step value`. */
  const points: Array<readonly [writer: string, said: string]> = []
  const known = new Set<string>()
  const take = (writer: string, batch: PointBatch) => {
    for (let i = 0; i < batch.count; i++) {
      const identity = `${writer} ${batch.positions[i]}.${batch.indices[i]}`
      if (known.has(identity)) continue
      known.add(identity)
      const series = batch.table.get(batch.series[i] ?? -1)
      const value = batch.values[i] ?? NaN
      const said = `${series?.name} ${JSON.stringify(series?.context)} ${batch.steps[i]} ${Object.is(value, -0) ? "-0" : value}`
      points.push([writer, said])
    }
  }
  const write = ({ writer, events }: Batch) =>
    Effect.suspend(() => {
      const dice = rng.next()
      if (dice < 0.1) return Effect.fail(transient("service", "down"))
      for (const event of events) if (event._tag === "PointBatch") take(writer, event)
      return dice < 0.2 ? Effect.fail(transient("service", "the answer was lost")) : Effect.succeed(accepted)
    })
  const backend = Backend.of({
    capabilities: {
      kinds: new Set(["points"]),
      identity: "point",
      limits: { points: 7, bytes: 10_000 },
      values: { nan: true, infinity: true, negativeZero: true },
      steps: { negative: true, repeated: true, late: true },
      degradations: []
    },
    open: () => Effect.succeed({ remote: "r", confirmed: undefined, write, close: () => Effect.void })
  })
  /** What was derived, by its writer, in the order it came. */
  const derived = () => {
    const byWriter: { [writer: string]: Array<string> } = {}
    for (const [writer, said] of points) if (writer.startsWith("derived-")) (byWriter[writer] ??= []).push(said)
    return byWriter
  }
  const captured = () => points.filter(([writer]) => !writer.startsWith("derived-")).map(([, said]) => said)
  return { backend, derived, captured }
}

/** A process that delivers the run, and derives, until it is killed. */
export const startDelivery = Effect.fnUntraced(function* (life: Life, backend: Backend["Service"]) {
  const stateful = yield* processors
  const targets = new Map([
    ["service", { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }]
  ])
  const work = Effect.gen(function* () {
    const { journal, scope } = yield* processOn(life)
    const opened = yield* Scope.provide(journal.open(run), scope)
    yield* opened.writersNow
    return yield* Scope.provide(deliver(opened, started, targets, stateful), scope)
  })
  // Forked, since a process that is killed at its first operation never comes back.
  const fiber = yield* Effect.forkDetach(work, { startImmediately: true })
  return {
    isDone: () => {
      const exit = fiber.pollUnsafe()
      return exit !== undefined && Exit.isSuccess(exit) && exit.value?.isDone() === true
    }
  }
})
