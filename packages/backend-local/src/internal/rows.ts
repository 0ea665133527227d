/** The rows that the writer and the reader both know: a run's marks and counts. */
import type { SQLOutputValue } from "node:sqlite"
import type { Confirmed } from "@tracelet/core/Backend"
import { start, type Mark } from "@tracelet/core/Cursor"
import { asNumber, asText, type Connection } from "./Connection.ts"

/** Values by the column's name. */
export type Row = Readonly<Record<string, SQLOutputValue>>

/** The run's number in the store; `undefined` when it is not there. */
export const findRun = (connection: Connection, id: string): number | undefined => {
  const row = connection.prepare("SELECT run FROM run WHERE id = ?").get(id)
  return row === undefined ? undefined : asNumber(row["run"])
}

export const readMark = (connection: Connection, run: number, writer: string): Mark => {
  const row = connection.prepare("SELECT position, point FROM mark WHERE run = ? AND writer = ?").get(run, writer)
  return row === undefined ? start : { position: asNumber(row["position"]), index: asNumber(row["point"]) }
}

export const readConfirmed = (connection: Connection, run: number): Confirmed | undefined => {
  const row = connection.prepare("SELECT delivered, rejected, filtered, closed FROM run WHERE run = ?").get(run)
  if (row === undefined) return undefined
  const marks = connection
    .prepare("SELECT writer, position, point FROM mark WHERE run = ? ORDER BY writer")
    .all(run)
    .map((mark): [string, Mark] => [
      asText(mark["writer"]),
      { position: asNumber(mark["position"]), index: asNumber(mark["point"]) }
    ])
  return { marks: new Map(marks), ...toDelivered(row) }
}

/** What a row of `run` says of how far its delivery is. */
export const toDelivered = (row: Row): Pick<Confirmed, "counts" | "closed"> => ({
  counts: {
    delivered: asNumber(row["delivered"]),
    rejected: asNumber(row["rejected"]),
    filtered: asNumber(row["filtered"])
  },
  closed: asNumber(row["closed"]) === 1
})
