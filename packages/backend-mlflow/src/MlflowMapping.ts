/**
 * Events as the bodies of requests: pure, and strict, since a server of 3.18.0 answers 200 to a field of the wrong type, defaults it, and
 * silently drops everything behind it. So numbers are written here, never by chance: a bare `NaN` would be a point of value 0 at step 0.
 */
import { isJsonObject, type Json, type JsonObject, type TagChanges } from "@tracelet/core/JsonObject"
import type { PointBatch } from "@tracelet/core/RunEvent"
import * as Series from "@tracelet/core/Series"
import { batchBytes, entriesPerBatch } from "./internal/limits.ts"
import * as MlflowName from "./MlflowName.ts"

/** One metric, param or tag as it stands in a body, and which event it came from. */
export interface Entry {
  readonly json: string
  /** What the user calls it. */
  readonly name: string
  readonly event: number
  /** Within a batch of points; 0 for the rest. */
  readonly index: number
}

// ---- points ----

/** Values as MLflow reads them; its own client writes NaN and the infinities as these texts too. */
export const value = (number: number): string =>
  Number.isFinite(number) ? String(number) : Number.isNaN(number) ? '"NaN"' : number > 0 ? '"Infinity"' : '"-Infinity"'

/** Whole milliseconds since the Unix epoch. */
export const milliseconds = (seconds: number): number => Math.round(seconds * 1000)

/** Keys of series by the number they have in a table, each worked out once. */
export class Keys {
  private table: PointBatch["table"] | undefined
  private readonly byNumber = new Map<number, string>()
  private readonly bySeries = new Map<string, string>()

  /** As JSON. A name too long to be read back is told to `onCut` when it is first met. */
  of(batch: PointBatch, number: number, onCut: (key: string, series: Series.Series) => void): string {
    if (this.table !== batch.table) {
      this.table = batch.table
      this.byNumber.clear()
    }
    const known = this.byNumber.get(number)
    if (known !== undefined) return known
    const series = batch.table.get(number) ?? { name: String(number), context: {} }
    const id = Series.toKey(series)
    let key = this.bySeries.get(id)
    if (key === undefined) {
      const whole = MlflowName.ofSeries(series)
      const fitted = MlflowName.fit(whole)
      key = JSON.stringify(fitted)
      this.bySeries.set(id, key)
      if (MlflowName.isCut(whole)) onCut(fitted, series)
    }
    this.byNumber.set(number, key)
    return key
  }
}

export interface Metrics {
  readonly entries: ReadonlyArray<Entry>
  /** Points that no server takes. */
  readonly refused: ReadonlyArray<{ readonly index: number; readonly reason: string }>
}

export const metrics = (
  batch: PointBatch,
  event: number,
  keys: Keys,
  onCut: (key: string, series: Series.Series) => void
): Metrics => {
  const entries: Array<Entry> = []
  const refused: Array<{ readonly index: number; readonly reason: string }> = []
  for (let index = 0; index < batch.count; index++) {
    const number = batch.series[index] ?? 0
    const timestamp = milliseconds(batch.times[index] ?? 0)
    const step = batch.steps[index] ?? 0
    const name = batch.table.get(number)?.name ?? ""
    if (!(timestamp >= 0)) {
      refused.push({
        index,
        reason: `MLflow takes no time before 1970, and that of ${name} at step ${step} is ${timestamp} ms.`
      })
      continue
    }
    const key = keys.of(batch, number, onCut)
    const json = `{"key":${key},"value":${value(batch.values[index] ?? 0)},"timestamp":${timestamp},"step":${step}}`
    entries.push({ json, name, event, index })
  }
  return { entries, refused }
}

// ---- params ----

export interface Text {
  readonly key: string
  /** The whole of it, which may be longer than MLflow takes. */
  readonly value: string
}

/** Nested objects as paths: `{ optimizer: { lr: 1 } }` is `optimizer/lr`. A slash in a key below the first level is escaped. */
export const params = (given: JsonObject): ReadonlyArray<Text> => {
  const found: Array<Text> = []
  const walk = (prefix: string, object: JsonObject): void => {
    for (const [name, one] of Object.entries(object)) {
      const whole =
        prefix === "" ? MlflowName.encode(name) : `${prefix}/${MlflowName.encode(name).replaceAll("/", "_x2f_")}`
      if (isJsonObject(one) && Object.keys(one).length > 0) walk(whole, one)
      else found.push({ key: MlflowName.fit(whole), value: paramValue(one) })
    }
  }
  walk("", given)
  return found
}

/** As MLflow's own client writes them: texts as they are, `True`, `False` and `None`, and JSON for the rest. */
const paramValue = (one: Json): string => {
  if (typeof one === "string") return storable(one)
  if (one === null) return "None"
  if (typeof one === "boolean") return one ? "True" : "False"
  return storable(JSON.stringify(one))
}

/** What databases behind MLflow take: no NUL (PostgreSQL), no lone surrogates. */
export const storable = (text: string): string => text.toWellFormed().replaceAll("\u0000", "\u2400")

/** Where the whole of a param or tag lies that is too long for one. */
export const paramFile = (key: string): string => `params/${MlflowName.folders(key)}.txt`
export const tagFile = (key: string): string => `tags/${MlflowName.folders(key)}.txt`

/** A text of at most `length` characters (more than the note about the cut takes), which says that it was cut and where the whole is. */
export const shortened = (text: string, length: number, whole: string): string => {
  if (text.length <= length) return text
  const characters = [...text]
  if (characters.length <= length) return text
  const note = `… [${characters.length} characters, all of them in the artifact ${whole}]`
  return `${characters.slice(0, Math.max(0, length - note.length)).join("")}${note}`
}

export const entry = ({ key, value: text }: Text, name: string, event: number): Entry => ({
  json: `{"key":${JSON.stringify(key)},"value":${JSON.stringify(text)}}`,
  name,
  event,
  index: 0
})

// ---- tags ----

export interface TagChange {
  readonly key: string
  /** `null` takes it away. */
  readonly value: string | null
}

export const tags = (changes: TagChanges): ReadonlyArray<TagChange> =>
  Object.entries(changes).map(([name, one]) => ({
    key: MlflowName.key(name),
    value: one === null ? null : storable(one)
  }))

// ---- bodies ----

/** Entries in bodies that keep to the limits, in order. */
export const split = (
  entries: ReadonlyArray<Entry>,
  most: number = entriesPerBatch
): ReadonlyArray<ReadonlyArray<Entry>> => {
  const parts: Array<Array<Entry>> = []
  let bytes = 0
  for (const one of entries) {
    const last = parts.at(-1)
    const size = Buffer.byteLength(one.json) + 1
    if (last === undefined || last.length >= most || bytes + size > batchBytes) {
      parts.push([one])
      bytes = size
    } else {
      last.push(one)
      bytes += size
    }
  }
  return parts
}

export const body = (run: string, kind: "metrics" | "params" | "tags", entries: ReadonlyArray<Entry>): string =>
  `{"run_id":${JSON.stringify(run)},"${kind}":[${entries.map(({ json }) => json).join(",")}]}`
