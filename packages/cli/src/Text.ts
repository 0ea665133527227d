/**
 * A user's text in a terminal: what it is wide, cut to a width, and without what would move the cursor. Names may hold anything but lone
 * surrogates (journal.md J5.22), so nothing of a user's is printed without `printable`.
 */

/** Control characters, and those that change the direction of what follows, as escapes. */
export const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) =>
    character === "\n"
      ? "\\n"
      : character === "\t"
        ? "\\t"
        : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]$/
const zeroWidth = /^(?:\p{Mark}|[\u200b-\u200d]|[\ufe00-\ufe0f])$/u

/** Columns it takes: two for East Asian and emoji, none for combining marks. */
export const width = (text: string): number => {
  // oxlint-disable-next-line no-control-regex
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length
  let columns = 0
  for (const character of text) columns += columnsOf(character)
  return columns
}

const columnsOf = (character: string): number => {
  if (zeroWidth.test(character)) return 0
  const code = character.codePointAt(0) ?? 0
  return wide.test(character) || /\p{Emoji_Presentation}/u.test(character) || (code >= 0x20000 && code <= 0x3fffd)
    ? 2
    : 1
}

/** At most `columns` wide; what is cut off is said by an ellipsis. */
export const fit = (text: string, columns: number, ellipsis = "…"): string => {
  if (width(text) <= columns) return text
  let kept = ""
  let used = width(ellipsis)
  for (const character of text) {
    used += columnsOf(character)
    if (used > columns) break
    kept += character
  }
  return columns < width(ellipsis) ? "" : kept + ellipsis
}

export const padEnd = (text: string, columns: number): string => text + " ".repeat(Math.max(0, columns - width(text)))

export const padStart = (text: string, columns: number): string => " ".repeat(Math.max(0, columns - width(text))) + text
