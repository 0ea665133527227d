/** What bytes are, by how they begin. */

const matches = (bytes: Uint8Array, at: number, text: string): boolean =>
  [...text].every((character, i) => bytes[at + i] === character.charCodeAt(0))

/** The media type of a picture that browsers show, or `undefined`. */
export const imageTypeOf = (bytes: Uint8Array): string | undefined => {
  if (matches(bytes, 0, "\x89PNG\r\n\x1a\n")) return "image/png"
  if (matches(bytes, 0, "\xff\xd8\xff")) return "image/jpeg"
  if (matches(bytes, 0, "GIF87a") || matches(bytes, 0, "GIF89a")) return "image/gif"
  if (matches(bytes, 0, "RIFF") && matches(bytes, 8, "WEBP")) return "image/webp"
  return undefined
}

/** That of a drawing or a page, which is text. */
export const markupTypeOf = (text: string): string | undefined => {
  const head = text.slice(0, 1_024).trimStart().toLowerCase()
  if (/^(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!doctype svg[^>]*>\s*)*<svg[\s>]/s.test(head)) return "image/svg+xml"
  return head.startsWith("<") ? "text/html" : undefined
}
