/** When the trainer of a round is killed: the same seed gives the same moments. */
import type { Random } from "./random.ts"

export interface Moment {
  /** `start`: after its process was started, so mostly before or in `start_logging`. `point`: after its first point. */
  readonly after: "start" | "point"
  readonly ms: number
  /** How the trainer writes: to mapped memory as on ext4, or a `write` a record as on file systems it does not trust. */
  readonly writer: "mmap" | "write"
}

/** A trainer needs about this long to its first point on an idle machine; three rounds in ten end within it. */
const startMsMax = 160
const startShare = 0.3
const pointMsMax = 250
const writeShare = 0.2

export const moment = (random: Random): Moment => {
  const after = random.chance(startShare) ? "start" : "point"
  const ms = random.next() * (after === "start" ? startMsMax : pointMsMax)
  return { after, ms, writer: random.chance(writeShare) ? "write" : "mmap" }
}

export const describe = ({ after, ms, writer }: Moment): string =>
  `${ms.toFixed(0)} ms after its ${after === "start" ? "start" : "first point"}${writer === "write" ? ", a write a point" : ""}`
