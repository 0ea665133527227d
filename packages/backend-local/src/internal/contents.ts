/** What a run logged, but for the points: params, series with their summaries, texts, media, artifacts, console lines. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Json } from "@tracelet/core/JsonObject"
import * as SeriesContext from "@tracelet/core/SeriesContext"
import type { ParamValue, SeriesSummary } from "../LocalReader.ts"
import { groupByStream, readTailOf } from "./compact.ts"
import { asBlob, asNumber, asText, UnexpectedRow, type Connection } from "./Connection.ts"
import * as Summary from "./Summary.ts"

/** Every value of every param: by key, then in the order logged. */
export const readParams = (connection: Connection, run: number): ReadonlyArray<ParamValue> => {
  const rows = connection
    .prepare("SELECT key, writer, time, value FROM param WHERE run = ? ORDER BY key, writer, position")
    .all(run)
    .map((row) => {
      const value: Json = JSON.parse(asText(row["value"]))
      return { key: asText(row["key"]), writer: asText(row["writer"]), time: asNumber(row["time"]), value }
    })
  const byKey = Map.groupBy(rows, ({ key }) => key)
  return [...byKey.values()].flatMap((values) => {
    const writers = [...Map.groupBy(values, ({ writer }) => writer).values()]
    return writers.length === 1 ? values : [...mergeByTime(writers.map((own) => own.values()))]
  })
}

/** One entry per (name, context): the streams of its writers merged, and what is still in the tail added. */
export const readSeries = (connection: Connection, run: number): ReadonlyArray<SeriesSummary> => {
  const added = new Map(groupByStream(readTailOf(connection, run)).map(({ columns, stream }) => [stream, columns]))
  const rows = connection
    .prepare(
      `SELECT series.series, name, context, stream, summary FROM series JOIN stream USING (series)
       WHERE run = ? ORDER BY name, key, writer`
    )
    .all(run)
  const bySeries = new Map<
    number,
    { readonly name: string; readonly context: string; readonly summary: Summary.Summary }
  >()
  for (const row of rows) {
    const own = row["summary"] === null ? Summary.empty() : Summary.fromBytes(asBlob(row["summary"]))
    const tail = added.get(asNumber(row["stream"]))
    if (tail !== undefined) Summary.add(own, tail, 0, tail.count)
    const id = asNumber(row["series"])
    const known = bySeries.get(id)
    if (known === undefined)
      bySeries.set(id, { name: asText(row["name"]), context: asText(row["context"]), summary: own })
    else Summary.merge(known.summary, own)
  }
  return [...bySeries].map(([id, { context, name, summary }]) => toSeriesSummary(id, name, context, summary))
}

const toSeriesSummary = (id: number, name: string, json: string, summary: Summary.Summary): SeriesSummary => {
  const context = toContext(json)
  const hasValues = summary.nans < summary.points
  return {
    id,
    name,
    context,
    points: summary.points,
    nans: summary.nans,
    min: hasValues ? summary.min : NaN,
    max: hasValues ? summary.max : NaN,
    last: { step: summary.lastStep, value: summary.lastValue, time: summary.lastPointTime },
    firstTime: summary.firstTime,
    lastTime: summary.lastTime
  }
}

const toContext = (json: string): SeriesContext.SeriesContext => {
  if (json === "{}") return SeriesContext.empty
  const context: unknown = JSON.parse(json)
  if (SeriesContext.isSeriesContext(context)) return context
  throw new UnexpectedRow("the context of a series is none")
}

/** Rows of one page. */
const pageRows = 256

/** Events of one kind, in the order logged, in pages. `schema` is that of the kind, whose tag is the row's. */
export function* readEvents<A extends { readonly _tag: string; readonly time: number }>(
  connection: Connection,
  run: number,
  tag: A["_tag"],
  schema: Schema.Codec<A, unknown>
): Generator<ReadonlyArray<A>> {
  const decode = Schema.decodeUnknownResult(schema)
  const writers = connection
    .prepare("SELECT DISTINCT writer FROM event WHERE run = ? AND kind = ? ORDER BY writer")
    .all(run, tag)
    .map((row) => asText(row["writer"]))
  const sources = writers.map((writer) => readEventsOf(connection, run, tag, writer))
  let page: Array<A> = []
  for (const { payload } of mergeByTime(sources)) {
    const fields: object = JSON.parse(payload)
    const event = decode({ ...fields, _tag: tag })
    if (Result.isFailure(event)) throw new UnexpectedRow(`an event of kind ${tag} does not pass its Schema`)
    page.push(event.success)
    if (page.length === pageRows) {
      yield page
      page = []
    }
  }
  yield page
}

function* readEventsOf(
  connection: Connection,
  run: number,
  kind: string,
  writer: string
): Generator<{ readonly time: number; readonly payload: string }> {
  const page = connection.prepare(
    `SELECT position, time, payload FROM event WHERE run = ? AND kind = ? AND writer = ? AND position > ?
     ORDER BY position LIMIT ${pageRows}`
  )
  for (let last = -1; ;) {
    const rows = page.all(run, kind, writer, last)
    for (const row of rows) yield { time: asNumber(row["time"]), payload: asText(row["payload"]) }
    if (rows.length < pageRows) return
    last = asNumber(rows.at(-1)?.["position"])
  }
}

/** Of the sources' next rows always the earliest, of equally early ones that of the first source: each source keeps its order. */
function* mergeByTime<A extends { readonly time: number }>(sources: ReadonlyArray<Iterator<A>>): Generator<A> {
  const heads: Array<{ readonly source: Iterator<A>; value: A }> = []
  for (const source of sources) {
    const next = source.next()
    if (next.done !== true) heads.push({ source, value: next.value })
  }
  while (heads.length > 0) {
    let first = 0
    heads.forEach(({ value }, index) => {
      if (value.time < (heads[first]?.value.time ?? Infinity)) first = index
    })
    const head = heads[first]
    if (head === undefined) return
    yield head.value
    const next = head.source.next()
    if (next.done === true) heads.splice(first, 1)
    else head.value = next.value
  }
}
