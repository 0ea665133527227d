/** Batches as a lane hands them over. */
import type { Batch } from "@tracelet/core/Backend"
import { RunId } from "@tracelet/core/Run"
import { runStarted, type PointBatch } from "@tracelet/core/RunEvent"
import type { Series } from "@tracelet/core/Series"

export interface Logged extends Series {
  readonly step: number
  readonly value: number
  readonly time: number
}

export const started = runStarted(RunId.make("0123456789abcdef"), {
  time: 1_700_000_000,
  name: 'a "run"\n',
  project: "p"
})

export const pointsOf = (logged: ReadonlyArray<Logged>): PointBatch => ({
  _tag: "PointBatch",
  count: logged.length,
  series: Uint32Array.from(logged, (_, i) => i),
  steps: Float64Array.from(logged, ({ step }) => step),
  values: Float64Array.from(logged, ({ value }) => value),
  times: Float64Array.from(logged, ({ time }) => time),
  positions: Float64Array.from(logged, (_, i) => i * 40),
  indices: new Uint16Array(logged.length),
  table: new Map(logged.map(({ context, name }, i) => [i, { name, context }]))
})

export const batchOf = (logged: ReadonlyArray<Logged>): Batch => ({
  writer: "w",
  from: { position: 0, index: 0 },
  to: { position: logged.length * 40, index: 0 },
  events: [pointsOf(logged)],
  filtered: 0,
  rejected: 0
})

export const point = (name: string, value: number, more: Partial<Logged> = {}): Logged => ({
  name,
  value,
  context: {},
  step: 0,
  time: 1_700_000_000,
  ...more
})
