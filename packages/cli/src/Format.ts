/**
 * Numbers, times and lengths of time as people read them in a table: short, and in a form that lines up. Programs get `Json` instead.
 */

/** Four to six significant digits: `0.00123`, `12.346`, `1.5e-7`. Whole numbers below 10^9 are whole. */
export const number = (value: number): string => {
  if (Number.isNaN(value)) return "NaN"
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf"
  if (Object.is(value, -0)) return "-0"
  const size = Math.abs(value)
  if (Number.isInteger(value) && size < 1e9) return String(value)
  if (size >= 1e-4 && size < 1e6) return trimmed(value.toPrecision(size >= 1e5 ? 6 : 5))
  const [mantissa = "", exponent = ""] = value.toExponential(3).split("e")
  return `${trimmed(mantissa)}e${exponent.replace("+", "")}`
}

const trimmed = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text)

/** `1,234,567` */
export const count = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",")

/** `1 run`, `2 runs` */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** `850 ms`, `4.2 s`, `3 m 05 s`, `2 h 14 m`, `3 d 04 h` */
export const duration = (seconds: number): string => {
  const two = (value: number) => String(value).padStart(2, "0")
  const s = Math.max(0, seconds)
  if (s < 1) return `${Math.round(s * 1000)} ms`
  if (s < 59.95) return `${s.toFixed(1)} s`
  const whole = Math.round(s)
  if (whole < 3_600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`
  const minutes = Math.round(s / 60)
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`
  const hours = Math.round(s / 3_600)
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`
}

/** `3.4 MB`; powers of 1,000. */
export const bytes = (value: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3))
  const scaled = value / 1000 ** power
  return `${power === 0 ? scaled : scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[power]}`
}

/** What `Date` can hold, in milliseconds: a clock that was wrong must not stop a listing. */
const dateMillisMax = 8.64e15

const toDate = (seconds: number): Date =>
  new Date(Math.max(-dateMillisMax, Math.min(dateMillisMax, Math.round(seconds * 1000))))

/** ISO 8601, UTC, milliseconds. */
export const iso = (seconds: number): string => toDate(seconds).toISOString()

/** `2026-11-24 22:21`, of the machine's time zone. */
export const time = (seconds: number): string => {
  const date = toDate(seconds)
  const two = (value: number) => String(value).padStart(2, "0")
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

/** `0`, `500`, `20k`, `1.5M`: steps under an axis. */
export const compact = (value: number): string => {
  const units = ["", "k", "M", "G", "T", "P"]
  const size = Math.abs(value)
  const power = size < 10_000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(size) / 3))
  return `${trimmed((value / 1000 ** power).toPrecision(power === 0 ? 15 : 6))}${units[power]}`
}
