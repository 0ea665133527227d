/** Headers as OpenTelemetry's variables write them: `name=value,name=value`, values percent-encoded (OTLP exporter specification 1.50). */

/** The text with its escapes resolved; `undefined` when they are none. */
export const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** By name in lower case; `undefined` for what cannot be read. */
export const parse = (text: string): Readonly<Record<string, string>> | undefined => {
  const entries: Array<readonly [string, string]> = []
  for (const pair of text.split(",").filter((one) => one.trim() !== "")) {
    const [name = "", ...rest] = pair.split("=")
    const value = decoded(rest.join("=").trim())
    // What a header may be called (RFC 9110), and no line break in what it says.
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name.trim()) || rest.length === 0) return undefined
    if (value === undefined || /[\r\n\0]/.test(value)) return undefined
    entries.push([name.trim().toLowerCase(), value])
  }
  return Object.fromEntries(entries)
}
