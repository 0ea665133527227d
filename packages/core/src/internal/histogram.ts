/** Values into equally wide bins, as NumPy's `histogram` does it: the last bin holds its upper edge. */
import { isJsonObject } from "../JsonObject.ts"

/** Counts of bins, and their edges, of which there is one more, ascending. */
export interface Counted {
  readonly edges: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
}

/** The histogram, or why there is none. */
export const histogramOf = (values: Iterable<number> | Counted, bins: number, binsMax: number): Counted | string => {
  if (isCounted(values)) return checked(values, binsMax)
  if (!Number.isInteger(bins) || bins < 1 || bins > binsMax) return `bins must be a whole number from 1 to ${binsMax}`
  if (!isIterable(values)) return "it is neither values nor edges and counts"
  const finite: Array<number> = []
  let least = Infinity
  let greatest = -Infinity
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    finite.push(value)
    if (value < least) least = value
    if (value > greatest) greatest = value
  }
  if (finite.length === 0) return "no value of it is a finite number"
  const [low, high] = least === greatest ? [least - 0.5, greatest + 0.5] : [least, greatest]
  // Halves, since the range of two float64 may be none.
  const half = high / 2 - low / 2
  const width = half / (bins / 2)
  const counts = Array.from({ length: bins }, () => 0)
  for (const value of finite) {
    const bin = Math.min(bins - 1, half > 0 ? Math.floor(((value / 2 - low / 2) / half) * bins) : 0)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  const edges = Array.from({ length: bins + 1 }, (_, i) => (i === bins ? high : low + i * width))
  return { edges, counts }
}

const isCounted = (values: Iterable<number> | Counted): values is Counted =>
  isJsonObject(values) && Array.isArray(values["edges"]) && Array.isArray(values["counts"])

const isIterable = (value: unknown): value is Iterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.iterator in value

const checked = ({ counts, edges }: Counted, binsMax: number): Counted | string => {
  if (counts.length < 1 || counts.length > binsMax) return `it has not 1 to ${binsMax} counts`
  if (edges.length !== counts.length + 1) return "it has not one edge more than counts"
  if (![...edges, ...counts].every(Number.isFinite)) return "an edge or a count is no finite number"
  if (edges.some((edge, i) => i > 0 && edge < (edges[i - 1] ?? edge))) return "its edges do not ascend"
  return { edges, counts }
}
