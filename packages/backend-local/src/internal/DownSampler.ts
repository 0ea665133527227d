/**
 * Keeps what a chart needs of any number of points: of each bucket of consecutive points the first minimum, the first maximum and the
 * first NaN, and of all the first and the last point. One pass, constant memory: when the buckets are used up, neighbours are joined
 * and each holds twice as many points. So at the end there are between half as many buckets as allowed, and all.
 */
import type { Columns } from "../LocalReader.ts"
import { copyPoint, makeColumns } from "./bytes.ts"

/** Places of a bucket: its minimum, its maximum, its NaN. */
const places = 3
const none = -1

export class DownSampler {
  /** Points seen. */
  total = 0
  readonly #bucketsMax: number
  #buckets = 0
  /** Points a full bucket holds, and points in the last one. */
  #size = 1
  #filled = 0
  /** Three places a bucket: number of the point there (from 0, in the order pushed), or `none`. */
  readonly #numbers: Float64Array
  readonly #kept: Columns
  readonly #first = makeColumns(1)
  readonly #last = makeColumns(1)

  constructor(buckets: number) {
    this.#bucketsMax = Math.max(1, Math.floor(buckets))
    this.#numbers = new Float64Array(this.#bucketsMax * places)
    this.#kept = makeColumns(this.#bucketsMax * places)
  }

  push(block: Columns): void {
    if (block.count === 0) return
    if (this.total === 0) copyPoint(this.#first, 0, block, 0)
    copyPoint(this.#last, 0, block, block.count - 1)
    for (let from = 0; from < block.count;) {
      if (this.#buckets === 0 || this.#filled === this.#size) this.#nextBucket()
      const to = Math.min(block.count, from + this.#size - this.#filled)
      this.#pushInto((this.#buckets - 1) * places, block, from, to)
      this.#filled += to - from
      this.total += to - from
      from = to
    }
  }

  /** What is kept, in the order pushed. */
  result(): Columns {
    const chosen = new Map<number, readonly [Columns, number]>()
    for (let i = 0; i < this.#buckets * places; i++) {
      const number = this.#numbers[i] ?? none
      if (number !== none) chosen.set(number, [this.#kept, i])
    }
    if (this.total > 0) chosen.set(0, [this.#first, 0]).set(this.total - 1, [this.#last, 0])
    const out = makeColumns(chosen.size)
    ;[...chosen.entries()]
      .toSorted(([a], [b]) => a - b)
      .forEach(([, [source, from]], at) => copyPoint(out, at, source, from))
    return out
  }

  #nextBucket(): void {
    if (this.#buckets === this.#bucketsMax) this.#joinNeighbours()
    if (this.#buckets > 0 && this.#filled < this.#size) return
    this.#numbers.fill(none, this.#buckets * places, (this.#buckets + 1) * places)
    this.#buckets++
    this.#filled = 0
  }

  #joinNeighbours(): void {
    const isOdd = this.#buckets % 2 === 1
    for (let i = 0; i < this.#buckets; i++) {
      const target = Math.floor(i / 2) * places
      if (i % 2 === 0) for (let place = 0; place < places; place++) this.#move(target + place, i * places + place)
      else this.#join(target, i * places)
    }
    this.#buckets = Math.ceil(this.#buckets / 2)
    this.#filled = isOdd ? this.#size : this.#size * 2
    this.#size *= 2
  }

  /** Adds a later bucket to an earlier one, which keeps its own where they are equal. */
  #join(target: number, source: number): void {
    const value = (place: number) => this.#kept.values[place] ?? NaN
    const isSet = (place: number) => this.#numbers[place] !== none
    if (isSet(source) && !(isSet(target) && value(target) <= value(source))) this.#move(target, source)
    if (isSet(source + 1) && !(isSet(target + 1) && value(target + 1) >= value(source + 1))) {
      this.#move(target + 1, source + 1)
    }
    if (isSet(source + 2) && !isSet(target + 2)) this.#move(target + 2, source + 2)
  }

  #move(target: number, source: number): void {
    if (target === source) return
    this.#numbers[target] = this.#numbers[source] ?? none
    copyPoint(this.#kept, target, this.#kept, source)
  }

  /** The loop over all points: finds the places first and copies three points at most. */
  #pushInto(bucket: number, { steps, times, values }: Columns, from: number, to: number): void {
    const kept = this.#kept
    let min = this.#numbers[bucket] === none ? Infinity : (kept.values[bucket] ?? Infinity)
    let max = this.#numbers[bucket + 1] === none ? -Infinity : (kept.values[bucket + 1] ?? -Infinity)
    let hasMin = this.#numbers[bucket] !== none
    let minAt = none
    let maxAt = none
    let nanAt = none
    for (let i = from; i < to; i++) {
      const value = values[i] ?? NaN
      if (value < min || (!hasMin && value === value)) {
        min = value
        minAt = i
        if (!hasMin) {
          hasMin = true
          max = value
          maxAt = i
        }
      } else if (value > max) {
        max = value
        maxAt = i
      } else if (value !== value && nanAt === none) nanAt = i
    }
    const set = (place: number, at: number) => {
      kept.steps[place] = steps[at] ?? 0
      kept.values[place] = values[at] ?? NaN
      kept.times[place] = times[at] ?? 0
      this.#numbers[place] = this.total + at - from
    }
    if (minAt !== none) set(bucket, minAt)
    if (maxAt !== none) set(bucket + 1, maxAt)
    if (nanAt !== none && this.#numbers[bucket + 2] === none) set(bucket + 2, nanAt)
  }
}
