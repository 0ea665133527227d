/** The wines, in an order that a seed decides, made comparable and split. */
import { readFileSync } from "node:fs"
import type { Wine } from "./model.ts"

const file = new URL("../data/wine.csv", import.meta.url)

/** Mulberry32: the same numbers between 0 and 1 for the same seed, on every machine. */
export const makeRandom = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    const a = Math.imul(state ^ (state >>> 15), 1 | state)
    const b = (a + Math.imul(a ^ (a >>> 7), 61 | a)) ^ a
    return ((b ^ (b >>> 14)) >>> 0) / 2 ** 32
  }
}

export const shuffled = <A>(items: ReadonlyArray<A>, random: () => number): ReadonlyArray<A> =>
  items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item)

/** Wines to learn from, and every fourth to judge by. What is typical is learnt from the first ones alone. */
export const readWines = (random: () => number) => {
  const [head = "", ...lines] = readFileSync(file, "utf8").trim().split("\n")
  const rows = shuffled(lines, random).map((line) => line.split(",").map(Number))
  const wines = rows.map((row) => ({ measurements: row.slice(0, -1), grower: row.at(-1) ?? 0 }))
  const train = wines.filter((_, i) => i % 4 !== 0)
  const names = head.split(",").slice(0, -1)

  const scales = names.map((_, i) => {
    const column = train.map(({ measurements }) => measurements[i] ?? 0)
    const mean = column.reduce((sum, x) => sum + x, 0) / column.length
    const deviation = Math.sqrt(column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / column.length)
    return (x: number) => (x - mean) / deviation
  })
  const scaled = ({ grower, measurements }: Wine): Wine => ({
    grower,
    measurements: [...measurements.map((x, i) => scales[i]?.(x) ?? 0), 1]
  })
  return { names, train: train.map(scaled), val: wines.filter((_, i) => i % 4 === 0).map(scaled) }
}
