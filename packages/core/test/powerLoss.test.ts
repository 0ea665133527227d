/**
 * An app logs, delivers to a service and loses its power at any operation; another life delivers what the disk still has. The service
 * knows a resend by its identity, as MLflow does.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import { Backend, type Batch } from "../src/Backend.ts"
import { transient } from "../src/BackendError.ts"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { deliver } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import { accepted, type Rejected, type WriteReport } from "../src/WriteReport.ts"
import { random } from "./support/histories.ts"
import { ModelDisk, type Life } from "./support/modelDisk.ts"
import * as Oracle from "./support/oracle.ts"

// `npm test` asks for 10,000, `npm run histories` for 100,000.
const histories = Number(process.env["HISTORIES"] ?? 1_000)
/** Histories at a time. */
const together = 250
const firstSeed = Number(process.env["SEED"] ?? 1)

const run = RunId.make("0123456789abcdef")
const started = runStarted(run, { time: 1, name: "n" })

/** Refused for good, so that it lies in the dead letter. */
const isRefused = (said: Oracle.Said): boolean => /^point \d*5$/.test(said)

const decoder = new TextDecoder()

/** What lies in the dead letter. */
const deadLetters = (bytes: Uint8Array | undefined): ReadonlyArray<Oracle.Said> =>
  decoder
    .decode(bytes)
    .split("\n")
    .flatMap((line) => {
      try {
        return [`point ${JSON.parse(line).event.value}`]
      } catch {
        // Torn by the power cut: what it was to hold comes again.
        return []
      }
    })

/** A service that outlives every crash. It refuses a part of the writes, sometimes after it has taken them. */
const makeService = (rng: ReturnType<typeof random>) => {
  const delivered: Array<string> = []
  const known = new Set<string>()
  const take = (batch: Batch): WriteReport => {
    const rejected: Array<Rejected> = []
    for (const [e, event] of batch.events.entries()) {
      const said =
        event._tag === "PointBatch"
          ? Array.from(event.values, (value) => `point ${value}`)
          : event._tag === "Params"
            ? [`params ${JSON.stringify(event.params)}`]
            : []
      for (const [i, text] of said.entries()) {
        if (isRefused(text)) {
          rejected.push({ event: e, index: i, reason: "refused" })
          continue
        }
        const position = event._tag === "PointBatch" ? `${event.positions[i]}.${event.indices[i]}` : `${event.position}`
        const identity = `${batch.writer} ${position}`
        if (known.has(identity)) continue
        known.add(identity)
        delivered.push(text)
      }
    }
    return { ...accepted, rejected }
  }
  const backend = Backend.of({
    capabilities: {
      kinds: new Set(["points", "params"]),
      identity: "point",
      limits: { points: 7, bytes: 10_000 },
      values: { nan: true, infinity: true, negativeZero: true },
      steps: { negative: true, repeated: true, late: true },
      degradations: []
    },
    open: () =>
      Effect.succeed({
        remote: "r",
        confirmed: undefined,
        write: (batch) =>
          Effect.suspend(() => {
            const dice = rng.next()
            if (dice < 0.1) return Effect.fail(transient("service", "down"))
            const report = take(batch)
            return dice < 0.2 ? Effect.fail(transient("service", "the answer was lost")) : Effect.succeed(report)
          }),
        close: () => Effect.void
      })
  })
  return { backend, delivered }
}

const targets = (backend: Backend["Service"]) =>
  new Map([["service", { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }]])

const journalOn = (life: Life) =>
  Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, life.storage)))

const history = Effect.fnUntraced(function* (seed: number) {
  const rng = random(seed)
  const disk = new ModelDisk(rng)
  const service = makeService(rng)
  const logged: Array<string> = []
  let acknowledged = 0

  // The first life: logs, flushes now and then, delivers beside it, and ends at some operation.
  const life = disk.boot(1 + rng.below(40))
  const scope = yield* Scope.make()
  const app = Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const writer = yield* journal.write({ run, role: "primary" })
    writer.event(started)
    yield* writer.flush
    const opened = yield* journal.open(run)
    yield* deliver(opened, started, targets(service.backend))
    for (let i = 0; i < 60; i++) {
      if (rng.next() < 0.85) {
        writer.point(`s${rng.below(3)}`, i, undefined, undefined, 1)
        logged.push(`point ${i}`)
      } else {
        writer.event({ _tag: "Params", time: 1, params: { p: i } })
        logged.push(`params {"p":${i}}`)
      }
      const dice = rng.next()
      if (dice < 0.15) {
        yield* writer.flush
        acknowledged = logged.length
      } else if (dice < 0.35) yield* Effect.sleep(rng.below(60))
    }
    return yield* Effect.never
  }).pipe(Effect.provide(journalOn(life)), Scope.provide(scope))
  const fiber = yield* Effect.forkDetach(app, { startImmediately: true })
  for (let i = 0; i < 30 && !life.isOff(); i++) yield* Effect.sleep(60)
  fiber.interruptUnsafe()
  yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })

  // The next life delivers what is left, and stays on.
  disk.crash()
  const next = disk.boot(Number.POSITIVE_INFINITY)
  return yield* Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const opened = yield* journal.open(run)
    yield* opened.writersNow
    const delivery = yield* deliver(opened, started, targets(service.backend))
    for (let i = 0; i < 300 && delivery?.isDone() === false; i++) yield* Effect.sleep(500)
    const writers = yield* opened.writers
    const letters = yield* journal.storage.read(journal.storage.join("d", "runs", run, "deadletter", "service.ndjson"))
    const dead = deadLetters(letters)
    const found = Oracle.findings({ logged, acknowledged, delivered: service.delivered, dead, kept: [] })
    const isDone = delivery?.isDone() === true || writers.length === 0
    return isDone
      ? found
      : [
          ...found,
          `not done: ${JSON.stringify([...(yield* delivery?.backends ?? Effect.succeed(new Map())).values()])}`
        ]
  }).pipe(Effect.provide(journalOn(next)), Effect.scoped)
})

describe(`power loss, over ${histories} generated histories`, () => {
  it.effect(
    "J7.2, J9.1: what a flush acknowledged is delivered in the next life: once, in order, unaltered",
    () =>
      Effect.gen(function* () {
        let whole = 0
        const check = (seed: number) =>
          Effect.map(history(seed), (found) => {
            assert.deepStrictEqual(found, [], `SEED=${seed} HISTORIES=1 repeats it`)
            whole++
          })
        // Many side by side share each turn of the clock.
        for (let seed = firstSeed; seed < firstSeed + histories; seed += together) {
          const seeds = Array.from({ length: Math.min(together, firstSeed + histories - seed) }, (_, i) => seed + i)
          const all = yield* Effect.forkChild(Effect.forEach(seeds, check, { concurrency: together, discard: true }))
          for (let turn = 0; all.pollUnsafe() === undefined; turn++) yield* TestClock.adjust(turn < 30 ? 60 : 500)
          yield* Fiber.join(all)
        }
        assert.strictEqual(whole, histories)
      }).pipe(Effect.provide(Logger.layer([]))),
    { timeout: 1_800_000 }
  )
})
