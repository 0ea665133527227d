/**
 * Runs to look at, written by the same journal writer that an app uses, with fixed ids and times.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { join } from "node:path"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import * as LocalStore from "@tracelet/backend-local/LocalStore"
import * as Journal from "@tracelet/core/Journal"
import * as Pipeline from "@tracelet/core/Pipeline"
import type { Processor } from "@tracelet/core/Processor"
import { RunId, type EndStatus } from "@tracelet/core/Run"
import { runStarted, type BackendReference, type Origin } from "@tracelet/core/RunEvent"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { now } from "./harness.ts"

export const local: BackendReference = { name: "local", plugin: "backend.local", version: "0.1.0", config: {} }

/** A backend that nobody has. */
export const missing: BackendReference = { name: "nowhere", plugin: "backend.nowhere", version: "1", config: {} }

export interface RunOptions {
  readonly id: string
  readonly name?: string
  readonly project?: string
  readonly tags?: { readonly [key: string]: string }
  readonly backends?: ReadonlyArray<BackendReference>
  /** Seconds since the Unix epoch; default: an hour before the clock of the tests. */
  readonly startedAt?: number
  /** How it ends, ten minutes later; `undefined` writes no end record. */
  readonly end?: EndStatus | undefined
  /** What its end record says besides. */
  readonly ending?: { readonly error?: string; readonly exitCode?: number }
  readonly origin?: Origin
  readonly log?: (writer: Journal.JournalWriter, startedAt: number) => void
}

/** Writes a run into `dir`; its writer is alive until the scope closes. */
export const write = (dir: string, options: RunOptions): Effect.Effect<void, Journal.JournalError, Scope.Scope> =>
  Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const id = RunId.make(options.id)
    const startedAt = options.startedAt ?? now - 3_600
    const writer = yield* journal.write({ run: id, role: "primary" })
    const { project = "digits", name = "baseline", tags = {}, backends = [local] } = options
    const client = { language: "typescript", version: "24", tracelet: "0.1.0" }
    const origin = options.origin === undefined ? {} : { origin: options.origin }
    writer.event(runStarted(id, { time: startedAt, project, name, tags, backends, client, ...origin }))
    options.log?.(writer, startedAt)
    if (!("end" in options) || options.end !== undefined) {
      writer.event({ _tag: "RunFinished", time: startedAt + 600, status: options.end ?? "finished", ...options.ending })
    }
    yield* writer.commit
  }).pipe(Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))

/** The same for a run whose writer is over. */
export const writeEnded = (dir: string, options: RunOptions): Effect.Effect<void, Journal.JournalError> =>
  Effect.scoped(write(dir, options))

/** A training as one would wish: a falling loss with noise and one spike, an accuracy that is NaN for a while, a schedule. */
export const training = (writer: Journal.JournalWriter, startedAt: number): void => {
  writer.event({
    _tag: "Params",
    time: startedAt,
    params: { lr: 0.001, layers: [64, 32], optimizer: { name: "adam", eps: 1e-8 }, note: "line\nbreak \u001b[31m" }
  })
  const steps = 4_000
  for (let step = 0; step < steps; step++) {
    const time = startedAt + (step * 600) / steps
    const noise = ((step * 7_919) % 1_000) / 5_000
    const spike = step === 2_800 ? 1.5 : 0
    writer.point("train/loss", 2 * Math.exp(-step / 800) + noise + spike, step, undefined, time)
    if (step % 10 > 0) continue
    const isBroken = step > 1_600 && step < 1_800
    writer.point("val/acc", isBroken ? NaN : 1 - Math.exp(-step / 1_000), step, { subset: "val" }, time)
    writer.point("lr", 0.001 * Math.cos(step / 2_600), step, undefined, time)
  }
}

/** Holds the run's `delivery.lock` until the scope closes, as whoever delivers it does. */
export const lockDelivery = (dir: string, id: string): Effect.Effect<boolean, Journal.JournalError, Scope.Scope> =>
  Effect.gen(function* () {
    const run = yield* (yield* Journal.Journal).open(RunId.make(id))
    return yield* run.lock
  }).pipe(Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))

/** Delivers a run to the local store until the scope closes. */
const deliverFrom = (id: string, processors: ReadonlyArray<Processor>) =>
  Effect.gen(function* () {
    const run = yield* (yield* Journal.Journal).open(RunId.make(id))
    const started = yield* run.started
    if (started === undefined) return yield* Effect.die("it has not begun")
    yield* run.writersNow
    const target = {
      backend: yield* LocalBackend.make,
      route: undefined,
      processors,
      permits: yield* Semaphore.make(1)
    }
    const delivery = yield* Pipeline.deliver(run, started, new Map([["local", target]]))
    return delivery ?? (yield* Effect.die("somebody else delivers it"))
  })

const appOf = (dir: string) =>
  Layer.merge(
    LocalStore.layer({ file: join(dir, "store.db") }),
    Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)
  )

/** As an app does whose processor leaves something out. */
export const deliverThinned = (dir: string, id: string, processor: Processor) =>
  Effect.flatMap(deliverFrom(id, [processor]), ({ settled }) => settled).pipe(Effect.scoped, Effect.provide(appOf(dir)))

/** As another process does while a command looks. */
export const deliverMeanwhile = (dir: string, id: string) =>
  Effect.gen(function* () {
    const app = yield* Layer.build(appOf(dir))
    return yield* Effect.provide(deliverFrom(id, []), app)
  })
