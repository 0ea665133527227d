/**
 * Round numbers along an axis: multiples of 1, 2 or 5 times a power of ten.
 */
import * as Format from "./Format.ts"

/** Round numbers between `low` and `high`, about `wanted` of them, ascending. The two themselves where they
 * are too far apart, or too near, for anything round. */
export const niceTicks = (low: number, high: number, wanted: number): ReadonlyArray<number> => {
  // Halves: the difference of two finite numbers may not be finite.
  const span = 2 * (high / 2 / wanted - low / 2 / wanted)
  if (!(span > 0)) return [low]
  if (!Number.isFinite(span)) return [low, high]
  const power = Math.floor(Math.log10(span))
  // The round step nearest to the wanted one, as ratios go: the limits are √2, √10 and √50.
  const ratio = span / 10 ** power
  const factor = ratio < 1.415 ? 1 : ratio < 3.163 ? 2 : ratio < 7.072 ? 5 : 10
  const step = factor * 10 ** power
  if (!(step > 0)) return [low, high]
  const first = Math.ceil(low / step)
  const ticks: Array<number> = []
  for (let i = first; i * step <= high && ticks.length <= 2 * wanted + 2; i++) {
    // 3 × 0.1 is 0.30000000000000004: twelve digits are more than an axis has.
    ticks.push(Number((i * step).toPrecision(12)) + 0)
  }
  return ticks.length === 0 ? [low] : ticks
}

/** With as many decimals as all ticks of the axis need, so that they line up. */
export const tickText = (tick: number, ticks: ReadonlyArray<number>): string => {
  const greatest = Math.max(...ticks.map(Math.abs))
  if (greatest >= 1e5 || (greatest > 0 && greatest < 1e-3)) return Format.number(tick)
  const decimals = Math.max(...ticks.map((value) => (String(value).split(".")[1] ?? "").length))
  return tick.toFixed(Math.min(decimals, 6))
}
