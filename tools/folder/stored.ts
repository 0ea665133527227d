/** What the local store of a folder has of a run: read point by point, not taken from a count that is kept somewhere. */
import { join } from "node:path"
import { fileDefault } from "@tracelet/backend-local/LocalPlugin"
import * as LocalReader from "@tracelet/backend-local/LocalReader"
import * as Effect from "effect/Effect"

/** Points of one series, in the order logged. */
export interface Columns {
  readonly steps: ArrayLike<number>
  readonly values: ArrayLike<number>
}

/** A series' name, and its context as JSON. */
export type SeriesKey = string

export const keyOf = (name: string, context: object): SeriesKey => `${name} ${JSON.stringify(context)}`

export const layer = (folder: string) => LocalReader.layer({ file: join(folder, fileDefault) })

/** All series of a run; none where the store does not know it. */
export const series = Effect.fnUntraced(function* (run: string) {
  const reader = yield* LocalReader.LocalReader
  const found = yield* Effect.forEach(yield* reader.series(run), ({ context, id, name }) =>
    Effect.map(reader.points(run, id), (columns): readonly [SeriesKey, Columns] => [keyOf(name, context), columns])
  )
  return new Map(found)
})

export const count = (all: ReadonlyMap<SeriesKey, Columns>): number =>
  [...all.values()].reduce((sum, { steps }) => sum + steps.length, 0)
