/**
 * Delivers a run in this process, in many small batches, to the local store or to a service that is a file: it knows a resend by the
 * point's identity, as MLflow does, and refuses some points for good.
 */
import { appendFileSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import { Backend, type Batch } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import { deliver } from "@tracelet/core/Pipeline"
import { RunId } from "@tracelet/core/Run"
import { accepted } from "@tracelet/core/WriteReport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { keyOf, type Columns, type SeriesKey } from "../folder/stored.ts"

export type Kind = "store" | "service"

/** So small that a few points make several batches, cursor writes and transactions. */
const limits = { points: 7, bytes: 10_000 }

/** Every so many points of the service are refused: what is left of its step is told apart by nothing else. */
const isRefused = (step: number) => step === 3 || step === -3

const serviceFile = (folder: string, run: string) => join(folder, `service-${run}.ndjson`)

const service = (folder: string, run: string) =>
  Backend.of({
    capabilities: { ...LocalBackend.capabilities, kinds: new Set(["points"]), identity: "point", limits },
    open: () =>
      Effect.succeed({
        remote: "service",
        confirmed: undefined,
        write: (batch) => Effect.sync(() => take(serviceFile(folder, run), batch)),
        close: () => Effect.void
      })
  })

const take = (file: string, batch: Batch) => {
  const lines: Array<string> = []
  const rejected: Array<{ event: number; index: number; reason: string }> = []
  for (const [at, event] of batch.events.entries()) {
    if (event._tag !== "PointBatch") continue
    for (let i = 0; i < event.count; i++) {
      const series = event.table.get(event.series[i] ?? -1)
      const step = event.steps[i] ?? 0
      if (isRefused(step)) {
        rejected.push({ event: at, index: i, reason: "no such step" })
        continue
      }
      const key = keyOf(series?.name ?? "", series?.context ?? {})
      const identity = `${batch.writer} ${event.positions[i]}.${event.indices[i]}`
      lines.push(`${JSON.stringify({ identity, key, step, value: String(event.values[i]) })}\n`)
    }
  }
  appendFileSync(file, lines.join(""))
  return rejected.length === 0 ? accepted : { ...accepted, rejected }
}

const linesOf = (file: string): ReadonlyArray<string> => {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
  } catch {
    return []
  }
}

interface Point {
  readonly key: SeriesKey
  readonly step: number
  readonly value: number
}

const toColumns = (points: ReadonlyArray<Point>): ReadonlyMap<SeriesKey, Columns> =>
  new Map(
    [...Map.groupBy(points, ({ key }) => key)].map(([key, of]) => [
      key,
      { steps: of.map(({ step }) => step), values: of.map(({ value }) => value) }
    ])
  )

const Sent = Schema.Struct({ identity: Schema.String, key: Schema.String, step: Schema.Number, value: Schema.String })
const decodeSent = Schema.decodeUnknownSync(Schema.fromJsonString(Sent))

/** What the service shows: what came again is known by its identity. */
export const served = (folder: string, run: string): ReadonlyMap<SeriesKey, Columns> => {
  const known = new Map(linesOf(serviceFile(folder, run)).map((line) => [decodeSent(line).identity, decodeSent(line)]))
  return toColumns([...known.values()].map((sent) => ({ ...sent, value: Number(sent.value) })))
}

const Letter = Schema.Struct({
  event: Schema.Struct({
    name: Schema.String,
    context: Schema.Record(Schema.String, Schema.Json),
    step: Schema.Number,
    value: Schema.Union([Schema.Number, Schema.String])
  })
})
const decodeLetter = Schema.decodeUnknownSync(Schema.fromJsonString(Letter))

/** What lies in the dead letter, line by line. */
export const deadLetters = (folder: string, run: string): ReadonlyMap<SeriesKey, Columns> =>
  toColumns(
    linesOf(join(folder, "runs", run, "deadletter", "service.ndjson")).map((line) => {
      const { context, name, step, value } = decodeLetter(line).event
      return { key: keyOf(name, context), step, value: Number(value) }
    })
  )

/** Delivers `run` until it is done; fails when another process has it. */
export const deliverAll = Effect.fnUntraced(function* (folder: string, id: string, kind: Kind) {
  const journal = yield* Journal.Journal
  const run = yield* journal.open(RunId.make(id))
  yield* run.writersNow
  const started = yield* run.started
  if (started === undefined) return yield* Effect.die(new Error(`run ${id} has no beginning`))
  const local = Effect.map(Layer.build(LocalBackend.layer({ file: join(folder, "store.db") })), (context) => {
    const backend = Context.get(context, Backend)
    return Backend.of({ ...backend, capabilities: { ...backend.capabilities, limits } })
  })
  const backend = kind === "store" ? yield* local : service(folder, id)
  const name = kind === "store" ? "local" : "service"
  const target = { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
  const delivery = yield* deliver(run, started, new Map([[name, target]]))
  if (delivery === undefined) return yield* Effect.die(new Error(`another process delivers run ${id}`))
  const isDone = Effect.sync(() => delivery.isDone())
  yield* Effect.repeat(Effect.andThen(Effect.sleep(2), isDone), { until: (done) => done })
  return (yield* delivery.backends).get(name)
})
