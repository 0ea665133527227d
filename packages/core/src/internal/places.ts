/** Places within a batch: to cut it where a backend stopped, or in halves. */
import type { Batch } from "../Backend.ts"
import type * as Cursor from "../Cursor.ts"
import { countOf, slice, type RunEvent } from "../RunEvent.ts"

/** Of an event, and of a point in it. */
interface Place {
  readonly event: number
  readonly index: number
}

export const countEvents = (events: ReadonlyArray<RunEvent>): number =>
  events.reduce((sum, event) => sum + countOf(event), 0)

/** Where the event lies that has `n` others before it. */
const at = (events: ReadonlyArray<RunEvent>, n: number): Place => {
  let before = 0
  for (const [i, event] of events.entries()) {
    const count = countOf(event)
    if (before + count > n) return { event: i, index: n - before }
    before += count
  }
  return { event: events.length, index: 0 }
}

/** What comes before `place`. */
const headOf = (events: ReadonlyArray<RunEvent>, { event, index }: Place): ReadonlyArray<RunEvent> => {
  const whole = events.slice(0, event)
  const cut = events[event]
  return cut?._tag === "PointBatch" && index > 0 ? [...whole, slice(cut, 0, index)] : whole
}

/** The batch from `place` on. */
export const restOf = (batch: Batch, place: Place): Batch => {
  const cut = batch.events[place.event]
  if (cut === undefined) return { ...batch, from: batch.to, events: [] }
  const isPoints = cut._tag === "PointBatch"
  const from: Cursor.Mark = isPoints
    ? { position: cut.positions[place.index] ?? batch.to.position, index: cut.indices[place.index] ?? 0 }
    : { position: cut.position, index: 0 }
  const first = isPoints && place.index > 0 ? slice(cut, place.index, cut.count) : cut
  return { ...batch, from, events: [first, ...batch.events.slice(place.event + 1)] }
}

/** The first `count` events of a batch, and the rest. */
export const cut = (batch: Batch, count: number): readonly [first: Batch, rest: Batch] => {
  const place = at(batch.events, count)
  const rest = restOf(batch, place)
  return [{ ...batch, to: rest.from, events: headOf(batch.events, place), filtered: 0 }, rest]
}
