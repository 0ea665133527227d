/**
 * The numbers of a run's series and streams (one series of one writer) in the store, found or made as points come. Kept in memory while
 * the run is open; `clear` it when a transaction did not commit, for it may hold numbers that were rolled back.
 */
import * as Series from "@tracelet/core/Series"
import { asNumber, type Connection } from "./Connection.ts"
import { toJson } from "./json.ts"

interface Known {
  /** The tables of a writer's batches mostly hold the same objects. */
  byObject: WeakMap<Series.Series, number>
  readonly byKey: Map<string, number>
}

export class StreamIds {
  readonly #byWriter = new Map<string, Known>()

  /** Streams seen so far. */
  get size(): number {
    let size = 0
    for (const { byKey } of this.#byWriter.values()) size += byKey.size
    return size
  }

  clear(): void {
    this.#byWriter.clear()
  }

  get(connection: Connection, run: number, writer: string, series: Series.Series): number {
    let known = this.#byWriter.get(writer)
    if (known === undefined) {
      known = { byObject: new WeakMap(), byKey: new Map() }
      this.#byWriter.set(writer, known)
    }
    const seen = known.byObject.get(series)
    if (seen !== undefined) return seen
    const key = Series.toKey(series)
    let stream = known.byKey.get(key)
    if (stream === undefined) {
      stream = findOrInsert(connection, run, writer, key, series)
      known.byKey.set(key, stream)
    }
    known.byObject.set(series, stream)
    return stream
  }
}

const findOrInsert = (
  connection: Connection,
  run: number,
  writer: string,
  key: string,
  series: Series.Series
): number => {
  const found = connection.prepare("SELECT series FROM series WHERE run = ? AND key = ?").get(run, key)
  const id = asNumber(
    (found ??
      connection
        .prepare("INSERT INTO series (run, key, name, context) VALUES (?, ?, ?, ?) RETURNING series")
        .get(run, key, series.name, toJson(series.context)))?.["series"]
  )
  const stream =
    (found && connection.prepare("SELECT stream FROM stream WHERE series = ? AND writer = ?").get(id, writer)) ??
    connection.prepare("INSERT INTO stream (series, writer) VALUES (?, ?) RETURNING stream").get(id, writer)
  return asNumber(stream?.["stream"])
}
