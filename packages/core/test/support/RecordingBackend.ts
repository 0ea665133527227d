/**
 * A backend that remembers what it accepted, and misbehaves on a script: each write takes the next entry, and accepts when there is none.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Backend, type BackendRun, type Batch, type EndRun, type OpenRun } from "../../src/Backend.ts"
import type { BackendError } from "../../src/BackendError.ts"
import * as Plugin from "../../src/Plugin.ts"
import { kinds } from "../../src/RunEvent.ts"
import { accepted, type WriteReport } from "../../src/WriteReport.ts"

export type Step =
  | { readonly fail: BackendError }
  | { readonly report: (batch: Batch) => WriteReport }
  | { readonly hang: true }

export interface Point {
  readonly name: string
  readonly step: number
  readonly value: number
}

export const make = (
  script: Array<Step> = [],
  refuses: (point: Point) => BackendError | undefined = () => undefined
) => {
  const points: Array<Point> = []
  const others: Array<string> = []
  const opened: Array<OpenRun> = []
  const closed: Array<EndRun> = []
  let writes = 0
  const take = (batch: Batch, report: WriteReport): void => {
    const isRefused = new Set(report.rejected.map(({ event, index }) => `${event}.${index}`))
    const end = report.retryFrom
    for (const [e, event] of batch.events.entries()) {
      if (event._tag !== "PointBatch") {
        if ((end === undefined || e < end.event) && !isRefused.has(`${e}.0`)) others.push(event._tag)
        continue
      }
      for (let i = 0; i < event.count; i++) {
        if (end !== undefined && (e > end.event || (e === end.event && i >= end.index))) return
        if (!isRefused.has(`${e}.${i}`)) points.push(pointAt(event, i))
      }
    }
  }
  const write = (batch: Batch) =>
    Effect.suspend(() => {
      writes++
      const step = script.shift()
      if (step !== undefined && "hang" in step) return Effect.never
      if (step !== undefined && "fail" in step) return Effect.fail(step.fail)
      for (const event of batch.events) {
        if (event._tag !== "PointBatch") continue
        for (let i = 0; i < event.count; i++) {
          const error = refuses(pointAt(event, i))
          if (error !== undefined) return Effect.fail(error)
        }
      }
      const report = step === undefined ? accepted : step.report(batch)
      take(batch, report)
      return Effect.succeed(report)
    })
  const run: BackendRun = {
    remote: "remote-1",
    confirmed: undefined,
    write,
    close: (end) => Effect.sync(() => void closed.push(end))
  }
  const backend = Backend.of({
    capabilities: {
      kinds: new Set(kinds),
      identity: "point",
      limits: { points: 1_000, bytes: 1_000_000 },
      values: { nan: true, infinity: true, negativeZero: true },
      steps: { negative: true, repeated: true, late: true },
      degradations: []
    },
    open: (openRun) =>
      Effect.sync(() => {
        opened.push(openRun)
        return run
      })
  })
  return { backend, points, others, opened, closed, writes: () => writes }
}

const pointAt = (event: Extract<Batch["events"][number], { readonly _tag: "PointBatch" }>, i: number): Point => ({
  name: event.table.get(event.series[i] ?? -1)?.name ?? "?",
  step: event.steps[i] ?? NaN,
  value: event.values[i] ?? NaN
})

/** The plugin of a backend that is there already. */
export const plugin = (recording: ReturnType<typeof make>, id = "backend.recording") =>
  Plugin.make({
    id,
    kind: "backend",
    version: "1",
    stability: "experimental",
    description: "Remembers what it is given.",
    config: Schema.Struct({
      url: Schema.optionalKey(Schema.String),
      token: Schema.optionalKey(Schema.RedactedFromValue(Schema.String))
    }),
    layer: () => Layer.succeed(Backend, recording.backend)
  })
