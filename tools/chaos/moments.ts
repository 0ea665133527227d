/** When the trainer of each round is killed: the same seed gives the same moments. */

export interface Moment {
  /** `start`: after its process was started, so mostly before or in `start_logging`. `point`: after its first point. */
  readonly after: "start" | "point"
  readonly ms: number
  /** How long after the trainer the agent is killed too; `undefined`: it is not. */
  readonly agentMs: number | undefined
  /** How the trainer writes: to mapped memory as on ext4, or a `write` a record as on file systems it does not trust. */
  readonly writer: "mmap" | "write"
}

/** A trainer needs about this long to its first point on an idle machine; three rounds in ten end within it. */
const startMsMax = 160
const startShare = 0.3
const pointMsMax = 250
/** Once in so many rounds the agent dies too, in the middle of what it writes. */
const agentEvery = 8
const agentMsMax = 60
const writeShare = 0.2

/** Mulberry32. */
const makeRandom = (seed: number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    const a = Math.imul(state ^ (state >>> 15), 1 | state)
    const b = (a + Math.imul(a ^ (a >>> 7), 61 | a)) ^ a
    return ((b ^ (b >>> 14)) >>> 0) / 2 ** 32
  }
}

export const moments = (count: number, seed: number): ReadonlyArray<Moment> => {
  const random = makeRandom(seed)
  return Array.from({ length: count }, () => {
    const after = random() < startShare ? "start" : "point"
    const ms = random() * (after === "start" ? startMsMax : pointMsMax)
    const killsAgent = random() < 1 / agentEvery
    const agentMs = random() * agentMsMax
    const writer = random() < writeShare ? "write" : "mmap"
    return { after, ms, agentMs: killsAgent ? agentMs : undefined, writer }
  })
}
