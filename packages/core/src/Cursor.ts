/**
 * How far one backend has confirmed one run (journal.md §7). The file's Schema, and the little arithmetic on positions that readers,
 * lanes and stores share.
 */
import * as Schema from "effect/Schema"
import { JsonObject } from "./JsonObject.ts"
import { Id } from "./Name.ts"
import { RunId } from "./Run.ts"

/** The first position that is not confirmed; `index` counts the points of the record there that are (J7.2). */
export const Mark = Schema.Struct({ position: Schema.Int, index: Schema.Int })
export interface Mark extends Schema.Schema.Type<typeof Mark> {}

export const start: Mark = { position: 0, index: 0 }

/** Per writer, by its id. A writer that is not there is at `start`. */
export type Marks = ReadonlyMap<string, Mark>

export const Pin = Schema.Struct({
  route: Schema.NullOr(Schema.Json),
  processors: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      version: Schema.String,
      config: JsonObject,
      /** Of a stateful one: the name of its derived journal. */
      derived: Schema.optionalKey(Id)
    })
  )
})
export interface Pin extends Schema.Schema.Type<typeof Pin> {}

export const Intent = Schema.Struct({ id: Schema.String, kind: Schema.String, at: Schema.Finite, detail: JsonObject })
export interface Intent extends Schema.Schema.Type<typeof Intent> {}

/** Events, as J7.8 counts them. `delivered` + `rejected` + `filtered` is what lies before the marks. */
export const Counts = Schema.Struct({ delivered: Schema.Int, rejected: Schema.Int, filtered: Schema.Int })
export interface Counts extends Schema.Schema.Type<typeof Counts> {}

export const noCounts: Counts = { delivered: 0, rejected: 0, filtered: 0 }

export const addCounts = (a: Counts, b: Counts): Counts => ({
  delivered: a.delivered + b.delivered,
  rejected: a.rejected + b.rejected,
  filtered: a.filtered + b.filtered
})

/** Events that lie before the marks. */
export const passed = ({ delivered, rejected, filtered }: Counts): number => delivered + rejected + filtered

/** What of the run's journals could not be read, when the cursor was closed: gaps in bytes, records for the rest (J4.4, J4.5). */
export const Losses = Schema.Struct({ gapBytes: Schema.Int, unknown: Schema.Int, damaged: Schema.Int })
export interface Losses extends Schema.Schema.Type<typeof Losses> {}

/** Another host than that of the writers, or than the one before, took the delivery over. `uncertain`: what was in flight may be there twice. */
export const TakeOver = Schema.Struct({
  epoch: Schema.Int,
  at: Schema.Finite,
  host: Schema.String,
  boot: Schema.String,
  uncertain: Schema.Boolean
})
export interface TakeOver extends Schema.Schema.Type<typeof TakeOver> {}

/** Letters of the dead letter that were delivered after all, or given up, as far as `counts` knows (J14.4). */
export const Settled = Schema.Struct({ delivered: Schema.Int, dropped: Schema.Int })
export interface Settled extends Schema.Schema.Type<typeof Settled> {}

export const Cursor = Schema.Struct({
  version: Schema.Literal(1),
  run: RunId,
  backend: Id,
  epoch: Schema.Int,
  pin: Pin,
  remote: Schema.NullOr(Schema.String),
  writers: Schema.Record(Id, Mark),
  counts: Counts,
  intents: Schema.Array(Intent),
  losses: Schema.optionalKey(Losses),
  settled: Schema.optionalKey(Settled),
  takeOvers: Schema.optionalKey(Schema.Array(TakeOver)),
  closed: Schema.Boolean
})
export interface Cursor extends Schema.Schema.Type<typeof Cursor> {}

export const CursorFile = Schema.fromJsonString(Cursor)

export const marks = (cursor: Cursor): Marks => new Map(Object.entries(cursor.writers))

/** What a take-over left unknown, for people; `undefined` when nothing. */
export const uncertainty = ({ backend, takeOvers = [] }: Cursor): string | undefined => {
  const uncertain = takeOvers.filter((one) => one.uncertain)
  if (uncertain.length === 0) return undefined
  const hosts = uncertain.map(({ host, epoch }) => `${host} (epoch ${epoch})`).join(", ")
  return `Taken over by ${hosts}: ${backend} cannot tell a resend, so the batch that was in flight may be there twice.`
}

/** True when `a` lies before `b`. */
export const isBefore = (a: Mark, b: Mark): boolean =>
  a.position < b.position || (a.position === b.position && a.index < b.index)
