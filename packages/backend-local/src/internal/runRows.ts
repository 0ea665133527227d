/** Rows of runs, with their tags: all, some, or the one that a user means. */
import type { SQLInputValue, SQLOutputValue } from "node:sqlite"
import * as Schema from "effect/Schema"
import * as Run from "@tracelet/core/Run"
import type { RunRow, RunsQuery } from "../LocalReader.ts"
import { candidatesMax, nearest, RunAmbiguous, RunNotFound, type Candidate } from "../RunLookup.ts"
import { asNumber, asText, UnexpectedRow, type Connection } from "./Connection.ts"
import { toDelivered, type Row } from "./rows.ts"

const orderBy: { readonly [sort in NonNullable<RunsQuery["sort"]>]: string } = {
  newest: "started_at DESC, run DESC",
  oldest: "started_at, run",
  name: "project, name, started_at DESC, run DESC"
}

export const readRuns = (connection: Connection, query: RunsQuery): ReadonlyArray<RunRow> => {
  const { limit = Infinity, project, sort = "newest", status, tag } = query
  const rows = connection
    .prepare(
      `SELECT * FROM run WHERE project = ifnull(?, project) AND status = ifnull(?, status) ORDER BY ${orderBy[sort]}`
    )
    .iterate(project ?? null, status ?? null)
  const found: Array<RunRow> = []
  for (const row of rows) {
    if (found.length >= limit) break
    const run = toRunRow(connection, row)
    const value = tag === undefined ? undefined : run.tags.get(tag.key)
    if (tag === undefined || (value !== undefined && value === (tag.value ?? value))) found.push(run)
  }
  return found
}

/** In the order of design: an id, a unique prefix of one, a name (the newest), `project/name`. */
export const findRunRow = (connection: Connection, query: string): RunRow | RunNotFound | RunAmbiguous => {
  const byId = one(connection, "id = ?", query)
  if (byId !== undefined) return byId
  // Ids are ASCII, so U+FFFF sorts behind whatever follows the prefix.
  const isPrefix = "id >= ? AND id < ?"
  const range = [query, `${query}\uffff`] as const
  const total =
    query === ""
      ? 0
      : asNumber(connection.prepare(`SELECT count(*) AS n FROM run WHERE ${isPrefix}`).get(...range)?.["n"])
  const byPrefix = total === 1 ? one(connection, isPrefix, ...range) : undefined
  const meant = byPrefix ?? one(connection, "name = ?", query) ?? byProject(connection, query)
  if (meant !== undefined) return meant
  if (total > 1)
    return new RunAmbiguous({ query, total, candidates: candidates(connection, isPrefix, candidatesMax, ...range) })
  return new RunNotFound({ query, nearest: nearest(query, candidates(connection, "true", searchedMax)) })
}

/** Runs that are looked through for what a user may have meant: the newest. */
const searchedMax = 10_000

/** Names may hold slashes, so each one may be the one between project and name. */
const byProject = (connection: Connection, query: string): RunRow | undefined => {
  for (let at = query.indexOf("/"); at !== -1; at = query.indexOf("/", at + 1)) {
    const found = one(connection, "project = ? AND name = ?", query.slice(0, at), query.slice(at + 1))
    if (found !== undefined) return found
  }
  return undefined
}

const one = (connection: Connection, where: string, ...values: ReadonlyArray<SQLInputValue>): RunRow | undefined => {
  const row = connection.prepare(`SELECT * FROM run WHERE ${where} ORDER BY ${orderBy.newest} LIMIT 1`).get(...values)
  return row === undefined ? undefined : toRunRow(connection, row)
}

const candidates = (
  connection: Connection,
  where: string,
  limit: number,
  ...values: ReadonlyArray<SQLInputValue>
): ReadonlyArray<Candidate> =>
  connection
    .prepare(`SELECT id, project, name, started_at FROM run WHERE ${where} ORDER BY ${orderBy.newest} LIMIT ?`)
    .all(...values, limit)
    .map((row) => ({
      id: asText(row["id"]),
      project: asText(row["project"]),
      name: asText(row["name"]),
      startedAt: asNumber(row["started_at"])
    }))

const toRunRow = (connection: Connection, row: Row): RunRow => ({
  id: asText(row["id"]),
  project: asText(row["project"]),
  name: asText(row["name"]),
  status: asStatus(row["status"]),
  startedAt: asNumber(row["started_at"]),
  endedAt: row["ended_at"] === null ? null : asNumber(row["ended_at"]),
  tags: readTags(connection, asNumber(row["run"])),
  points: asNumber(row["points"]),
  ...toDelivered(row)
})

const isStatus = Schema.is(Run.Status)

const asStatus = (value: SQLOutputValue | undefined): Run.Status => {
  if (isStatus(value)) return value
  throw new UnexpectedRow("a run has a status that is none")
}

/** Of each key the value that a writer set last; none where that took it away. */
export const readTags = (connection: Connection, run: number): ReadonlyMap<string, string> => {
  const latest = connection
    .prepare("SELECT key, value FROM tag WHERE run = ? ORDER BY key, time, writer")
    .all(run)
    .map((row) => [asText(row["key"]), row["value"]] as const)
  const set = [...new Map(latest)].filter(([, value]) => value !== null)
  return new Map(set.map(([key, value]): [string, string] => [key, asText(value)]))
}
