/**
 * What is known of a stream (one series of one writer) without its points: counted as they come, kept as 72 bytes, merged over the
 * writers of a series. float64 throughout, for SQLite's REAL loses NaN and the sign of −0.
 */
import type { Columns } from "../LocalReader.ts"
import { float64 } from "./bytes.ts"

export interface Summary {
  points: number
  nans: number
  /** Of all values but NaN; +Infinity and −Infinity while there is none. */
  min: number
  max: number
  firstTime: number
  lastTime: number
  lastStep: number
  lastValue: number
  lastPointTime: number
}

export const empty = (): Summary => ({
  points: 0,
  nans: 0,
  min: Infinity,
  max: -Infinity,
  firstTime: Infinity,
  lastTime: -Infinity,
  lastStep: 0,
  lastValue: NaN,
  lastPointTime: 0
})

/** Points of one writer, in its order. Of equal extremes (0 and −0 are) the first stays. */
export const add = (summary: Summary, columns: Columns, from: number, to: number): void => {
  const { steps, times, values } = columns
  let { firstTime, lastTime, max, min, nans } = summary
  for (let i = from; i < to; i++) {
    const value = values[i] ?? NaN
    const time = times[i] ?? 0
    if (value < min) min = value
    if (value > max) max = value
    if (value !== value) nans++
    if (time < firstTime) firstTime = time
    if (time > lastTime) lastTime = time
  }
  summary.points += to - from
  summary.nans = nans
  summary.min = min
  summary.max = max
  summary.firstTime = firstTime
  summary.lastTime = lastTime
  if (to > from) {
    summary.lastStep = steps[to - 1] ?? 0
    summary.lastValue = values[to - 1] ?? NaN
    summary.lastPointTime = times[to - 1] ?? 0
  }
}

/**
 * Adds another writer's points of the same series. Its last point is the series' when it was logged last: when the greatest time of
 * that writer is the later one (which is where a merge by time, that keeps each writer's order, ends).
 */
export const merge = (summary: Summary, other: Summary): void => {
  if (other.points === 0) return
  if (summary.points === 0 || other.lastTime >= summary.lastTime) {
    summary.lastStep = other.lastStep
    summary.lastValue = other.lastValue
    summary.lastPointTime = other.lastPointTime
  }
  summary.points += other.points
  summary.nans += other.nans
  summary.min = other.min < summary.min ? other.min : summary.min
  summary.max = other.max > summary.max ? other.max : summary.max
  summary.firstTime = Math.min(summary.firstTime, other.firstTime)
  summary.lastTime = Math.max(summary.lastTime, other.lastTime)
}

export const toBytes = (summary: Summary): Uint8Array =>
  new Uint8Array(
    Float64Array.of(
      summary.points,
      summary.nans,
      summary.min,
      summary.max,
      summary.firstTime,
      summary.lastTime,
      summary.lastStep,
      summary.lastValue,
      summary.lastPointTime
    ).buffer
  )

export const fromBytes = (bytes: Uint8Array): Summary => {
  const [points, nans, min, max, firstTime, lastTime, lastStep, lastValue, lastPointTime] = float64(bytes, 0, 9)
  const known = empty()
  return {
    points: points ?? known.points,
    nans: nans ?? known.nans,
    min: min ?? known.min,
    max: max ?? known.max,
    firstTime: firstTime ?? known.firstTime,
    lastTime: lastTime ?? known.lastTime,
    lastStep: lastStep ?? known.lastStep,
    lastValue: lastValue ?? known.lastValue,
    lastPointTime: lastPointTime ?? known.lastPointTime
  }
}
