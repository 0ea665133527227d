/** Batches as `Delivery` hands them over, made by hand: a writer's log is a list of records, each at a position of its own. */
import type { Batch } from "@tracelet/core/Backend"
import type { Json } from "@tracelet/core/JsonObject"
import type { PointBatch, RunEvent, Single } from "@tracelet/core/RunEvent"
import type { Series } from "@tracelet/core/Series"

export interface Point {
  readonly series: Series
  readonly step: number
  readonly value: number
  readonly time: number
}

/** Bytes between two records of a log. */
const stride = 64

export const positionOf = (record: number): number => record * stride

/** One record of columns. */
export const points = (record: number, list: ReadonlyArray<Point>): PointBatch => {
  const numbers = new Map<Series, number>()
  for (const { series } of list) if (!numbers.has(series)) numbers.set(series, numbers.size)
  return {
    _tag: "PointBatch",
    count: list.length,
    series: Uint32Array.from(list, ({ series }) => numbers.get(series) ?? 0),
    steps: Float64Array.from(list, ({ step }) => step),
    values: Float64Array.from(list, ({ value }) => value),
    times: Float64Array.from(list, ({ time }) => time),
    positions: new Float64Array(list.length).fill(positionOf(record)),
    indices: Uint16Array.from(list, (_, index) => index),
    table: new Map([...numbers].map(([series, number]) => [number, series]))
  }
}

export const params = (record: number, values: ReadonlyArray<readonly [string, Json]>, time = record): Single => ({
  _tag: "Params",
  time,
  params: Object.fromEntries(values),
  position: positionOf(record)
})

export const tags = (
  record: number,
  values: ReadonlyArray<readonly [string, string | null]>,
  time = record
): Single => ({
  _tag: "Tags",
  time,
  tags: Object.fromEntries(values),
  position: positionOf(record)
})

export const renamed = (record: number, name: string, time = record): Single => ({
  _tag: "Renamed",
  time,
  name,
  position: positionOf(record)
})

/** A whole log as one batch. */
export const batch = (writer: string, events: ReadonlyArray<RunEvent>): Batch => ({
  writer,
  from: { position: 0, index: 0 },
  to: { position: positionOf(events.length), index: 0 },
  filtered: 0,
  rejected: 0,
  events
})

export const series = (name: string, context: Series["context"] = {}): Series => ({ name, context })
