/** Batches as `Delivery` hands them over, made by hand: a writer's log is a list of records, each at a position of its own. */
import { openAlone, type Batch, type OpenRun } from "@tracelet/core/Backend"
import type { Mark } from "@tracelet/core/Cursor"
import type { Json } from "@tracelet/core/JsonObject"
import { RunId } from "@tracelet/core/Run"
import { runStarted, slice, type PointBatch, type RunEvent, type Single } from "@tracelet/core/RunEvent"
import type { Series } from "@tracelet/core/Series"

export interface Point {
  readonly series: Series
  readonly step: number
  readonly value: number
  readonly time: number
}

export const runId = RunId.make("0123456789abcdef0123456789abcdef")

export const openRun = (over: Partial<OpenRun["run"]> = {}, startedAt = 100): OpenRun =>
  openAlone(runStarted(over.id ?? runId, { time: startedAt, project: "digits", name: "baseline", ...over }))

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

/** Records `from` to `to` of a log as one batch. */
export const batch = (writer: string, log: ReadonlyArray<RunEvent>, from: number, to: number): Batch =>
  cut(writer, log, { position: positionOf(from), index: 0 }, { position: positionOf(to), index: 0 })

/** What of a log lies between two marks. */
export const cut = (writer: string, log: ReadonlyArray<RunEvent>, from: Mark, to: Mark): Batch => ({
  writer,
  from,
  to,
  filtered: 0,
  rejected: 0,
  events: log.flatMap((event, record): ReadonlyArray<RunEvent> => {
    const position = positionOf(record)
    if (position < from.position || position > to.position) return []
    if (event._tag !== "PointBatch") return position < to.position ? [event] : []
    const first = position === from.position ? from.index : 0
    const end = position === to.position ? to.index : event.count
    return first < end ? [slice(event, first, Math.min(end, event.count))] : []
  })
})

export const series = (name: string, context: Series["context"] = {}): Series => ({ name, context })
