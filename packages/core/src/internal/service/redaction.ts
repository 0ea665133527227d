/**
 * What must not stand in a message: the values that a request carries in secret, wherever they come back from. A service may say back in
 * its answer what it was sent, and an answer may break off in the middle of it.
 */
import * as Redacted from "effect/Redacted"

/** Names of headers and of fields in an answer whose value is a secret. */
const secretName = /auth|token|secret|passw|pwd|credential|cookie|signature|session|api[-_]?key|access[-_]?key/i

/** A field of that kind in JSON, in a form or in a header, with its value. */
const secretField =
  /(["']?[\w-]*(?:token|secret|passw|pwd|credential|cookie|signature|api[-_]?key|access[-_]?key|authorization)[\w-]*["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|(?:(?:bearer|basic)\s+)?[^\s"',;&<>…]+)/gi
const scheme = /\b(bearer|basic|digest|negotiate)\s+[\w+/=.~-]{4,}/gi
const userInfo = /(\/\/)[^/\s@]+@/g

/** Shorter ones stand in any text by chance: a text that has one is not shown at all. */
const shortest = 4

const hidden = "<redacted>"

// In every JavaScript runtime, but not in the language's own library of types.
declare const atob: (text: string) => string
declare const btoa: (text: string) => string

const decoded = (base64: string): ReadonlyArray<string> => {
  try {
    const text = atob(base64)
    return [text, text.slice(text.indexOf(":") + 1)]
  } catch {
    return []
  }
}

const encoded = (secret: string): ReadonlyArray<string> => {
  try {
    return [encodeURIComponent(secret), btoa(secret)]
  } catch {
    return []
  }
}

/** A text without the secrets of a request: of its headers, and those that the caller declares. */
export const redactor = (
  headers: Readonly<Record<string, string>>,
  declared: ReadonlyArray<Redacted.Redacted>
): ((text: string) => string) => {
  const carried = Object.entries(headers)
    .filter(([name]) => secretName.test(name))
    .flatMap(([, value]) => {
      const bare = value.replace(/^\w+\s+/, "")
      return [value, bare, ...decoded(bare)]
    })
  const all = [...carried, ...declared.map((one) => Redacted.value(one))].flatMap((secret) => [
    secret,
    ...encoded(secret),
    JSON.stringify(secret).slice(1, -1)
  ])
  // The longest first: a part of another must not take it apart.
  const secrets = [...new Set(all)].filter((one) => one !== "").toSorted((a, b) => b.length - a.length)
  return (text) => {
    let shown = text
    for (const secret of secrets) {
      if (secret.length >= shortest) shown = shown.replaceAll(secret, hidden)
      else if (shown.includes(secret)) return hidden
    }
    for (const secret of secrets) {
      for (let length = secret.length - 1; length >= shortest; length--) {
        if (shown.endsWith(secret.slice(0, length))) shown = shown.slice(0, -length) + hidden
      }
    }
    return shown
      .replace(secretField, (_all, name: string) => `${name}${hidden}`)
      .replace(scheme, (_all, name: string) => `${name} ${hidden}`)
      .replace(userInfo, "$1")
  }
}

/** An address as it may be shown: no user, no password, of the query only the names. */
export const shownUrl = (url: {
  readonly origin: string
  readonly pathname: string
  readonly search: string
}): string => {
  const names = url.search
    .replace(/^\?/, "")
    .split("&")
    .flatMap((pair) => (pair === "" ? [] : [`${pair.split("=")[0]}=…`]))
  return `${url.origin}${url.pathname}${names.length === 0 ? "" : `?${names.join("&")}`}`
}
