/**
 * JSON text that loses no number: `-0` is printed so, and what JSON cannot hold is `"NaN"`, `"Infinity"`, `"-Infinity"`. Values are those
 * that a Schema of `Output.ts` describes, or came out of `JSON.parse`.
 */

export const numberText = (value: number): string => {
  if (Object.is(value, -0)) return "-0"
  return Number.isFinite(value) ? String(value) : `"${value}"`
}

/** With `indent` on several lines, as `JSON.stringify(value, null, indent)` lays them out. Keys whose value is undefined are left out. */
export const stringify = (value: unknown, indent = 0): string =>
  write(value, indent === 0 ? undefined : " ".repeat(indent), "\n")

const write = (value: unknown, indent: string | undefined, line: string): string => {
  if (typeof value === "number") return numberText(value)
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  const inner = line + (indent ?? "")
  const parts = Array.isArray(value)
    ? value.map((entry) => write(entry, indent, inner))
    : Object.entries(value)
        .filter(([, entry]) => entry !== undefined)
        .map(
          ([key, entry]) => `${JSON.stringify(key)}:${indent === undefined ? "" : " "}${write(entry, indent, inner)}`
        )
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"]
  if (parts.length === 0) return open + close
  return indent === undefined
    ? `${open}${parts.join(",")}${close}`
    : `${open}${inner}${parts.join(`,${inner}`)}${line}${close}`
}
