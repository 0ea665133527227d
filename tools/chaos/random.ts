/** Numbers that the same seed gives again: of a round's moments nothing else decides. */

export interface Random {
  /** Between 0 and 1. */
  readonly next: () => number
  /** A whole number below `limit`. */
  readonly below: (limit: number) => number
  readonly chance: (share: number) => boolean
  readonly one: <const A>(of: readonly [A, ...ReadonlyArray<A>]) => A
}

/** Mulberry32. */
const make = (seed: number): Random => {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    const a = Math.imul(state ^ (state >>> 15), 1 | state)
    const b = (a + Math.imul(a ^ (a >>> 7), 61 | a)) ^ a
    return ((b ^ (b >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { next, below, chance: (share) => next() < share, one: (of) => of[below(of.length)] ?? of[0] }
}

/** Of one scenario: it meets the same moments whether or not others are played before it. */
export const ofScenario = (seed: number, name: string): Random =>
  make([...name].reduce((hash, letter) => Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193), seed | 0))
