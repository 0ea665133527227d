/** Tables in the shapes that people have them in, as `{ columns, data }` with an array a row. */
import { isJsonObject } from "../JsonObject.ts"

export type Table =
  | ReadonlyArray<{ readonly [column: string]: unknown }>
  | { readonly columns: ReadonlyArray<string>; readonly data: ReadonlyArray<ReadonlyArray<unknown>> }
  | { readonly [column: string]: ReadonlyArray<unknown> }

interface Rows {
  readonly columns: ReadonlyArray<string>
  readonly data: ReadonlyArray<ReadonlyArray<unknown>>
}

/** `undefined` when it is no table: a row that is no object, a column that is no array, a cell too many. What a row lacks is null. */
export const tableOf = (table: unknown): Rows | undefined => {
  if (isList(table)) return table.every(isJsonObject) ? ofRows(table) : undefined
  if (typeof table !== "object" || table === null) return undefined
  const lists: Array<readonly [string, ReadonlyArray<unknown>]> = []
  for (const [column, list] of Object.entries(table)) {
    if (!isList(list)) return undefined
    lists.push([column, list])
  }
  const { columns, data } = Object.fromEntries(lists)
  if (lists.length === 2 && columns?.every(isText) === true && data?.every(isList) === true) {
    return data.every((row) => row.length === columns.length) ? { columns, data } : undefined
  }
  const length = Math.max(0, ...lists.map(([, list]) => list.length))
  return {
    columns: lists.map(([column]) => column),
    data: Array.from({ length }, (_, i) => lists.map(([, list]) => list[i] ?? null))
  }
}

const ofRows = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>): Rows => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  return { columns, data: rows.map((row) => columns.map((column) => row[column] ?? null)) }
}

const isList = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)
const isText = (value: unknown): value is string => typeof value === "string"
