/**
 * A series is all points of one name in one context of one run. In a journal it goes by a number, which its writer gave it.
 */
import * as SeriesContext from "./SeriesContext.ts"

export interface Series {
  readonly name: string
  readonly context: SeriesContext.SeriesContext
}

/** What the numbers in a batch mean. A number may be missing only when no point of the batch bears it. */
export type SeriesTable = ReadonlyMap<number, Series>

/** Equal for series that are one, whatever writer they come from. */
export const toKey = (series: Series): string => `${series.name}\u0000${SeriesContext.toKey(series.context)}`
