/**
 * What a user handed over, as text for a message. It may be anything: a symbol, a proxy that raises, an object without a prototype.
 */

/** A text as it is, anything else as it says itself or, where it does not, as its type. */
export const describeValue = (value: unknown): string => {
  if (typeof value === "string") return value
  try {
    return String(value)
  } catch {
    return typeof value
  }
}
