/**
 * Names made legal, in this one place. MLflow takes letters, digits, `_ - . : /` and spaces in the names of metrics, params and tags, at most
 * 250, and none that is no plain relative path (seen on 3.18.0). What it refuses is written as `_x40_`, the code point in hexadecimal, so
 * that it can be read back, and two names are never one; `decode` is the way back, except for names that had to be cut.
 */
import { createHash } from "node:crypto"
import type { Series } from "@tracelet/core/Series"
import type { Value } from "@tracelet/core/SeriesContext"
import { utf8Bytes } from "@tracelet/core/Name"
import { keyLength, pathPartBytes } from "./internal/limits.ts"

/** Letters that Python 3.10 does not know yet (Unicode 14 to 17), whose server would refuse them. */
const young = String.raw`[\u0870-\u088F\u08B5\u08C8\u0C5C\u0C5D\u0CDC\u0CDD\u170D\u171F\u1B4C\u1C89\u1C8A\u2C2F\u2C5F\uA7C0-\uA7F4\u{10000}-\u{10FFFF}]`

/**
 * What cannot stay: other characters; `_` that would read as the beginning of an escape; a slash at an end or behind another; the first dot of
 * a part `.` or `..`, and of a name that begins with two.
 */
const illegal = new RegExp(
  String.raw`[^/_.:\- \p{L}\p{N}]|${young}|_(?=x[0-9a-f]{2})|^\/|\/$|(?<=\/)\/|(?<=^|\/)\.(?=\.?(?:\/|$))|^\.(?=\.)`,
  "gu"
)

const illegalInContextKey = new RegExp(String.raw`[^:.\-\p{L}\p{N}]|${young}|^\.`, "gu")

const escaped = /_x([0-9a-f]{2,6})_/g

const escape = (character: string): string => `_x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}_`

/** Also for a name of nothing, as the key of a param may be. */
const nothing = "_x110000_"

export const encode = (name: string): string => (name === "" ? nothing : name.replaceAll(illegal, escape))

export const decode = (encoded: string): string =>
  encoded === nothing
    ? ""
    : encoded.replaceAll(escaped, (whole, hex: string) => {
        const code = Number.parseInt(hex, 16)
        return code > 0x10ffff ? whole : String.fromCodePoint(code)
      })

/** Sixteen hexadecimal digits that stand for a text. */
export const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16)

/** Code points, and no more counting than needed. */
const isLonger = (text: string, length: number): boolean => text.length > length && [...text].length > length

/** A legal name of at most 250 characters: a longer one is cut, with a digest of the whole at its end. */
export const fit = (encoded: string): string =>
  isLonger(encoded, keyLength) ? `${encoded.slice(0, keyLength - 18)}_x${digest(encoded)}` : encoded

/** Whether `fit` has to cut it, so that `decode` alone does not lead back. */
export const isCut = (encoded: string): boolean => isLonger(encoded, keyLength)

/** The key of a param, a tag, or a metric without context. */
export const key = (name: string): string => fit(encode(name))

/** What stands between the context of a series and its name; a name that holds it has its first space escaped. */
const mark = " / "

/**
 * The key of a series before `fit`: its name, behind its context. `{ subset: "val" }` reads `val / loss`, `{ rank: 3 }` reads `rank_3 / loss`, several keys
 * are parts of a path, in the order of their names. The spaces tell it from a series that is itself called `val/loss`.
 */
export const ofSeries = ({ context, name }: Series): string => {
  const encoded = encode(name).replaceAll(/ (?=\/ )/g, escape)
  const keys = Object.keys(context)
  if (keys.length === 0) return encoded
  return [
    ...keys
      .toSorted()
      .map((one) => part(one, context[one] ?? ""))
      .join("/"),
    mark,
    encoded
  ].join("")
}

/** A key without its context's name only where nobody can take it for another. */
const part = (name: string, value: Value): string => {
  const text = typeof value === "string" ? encodePart(value) : encodePart(JSON.stringify(value))
  const isBare = name === "subset" && typeof value === "string" && value !== "" && !text.includes("_")
  if (isBare) return text
  // Text that reads as a number or a switch, or would make an escape of what is before it, has its first character escaped.
  const isMistakable = typeof value === "string" && (parsed(value) !== value || /^x[0-9a-f]{2}/.test(value))
  return `${encodeContextKey(name)}_${isMistakable ? `${escape(value)}${value.length === 1 ? "" : encodePart(value.slice(1))}` : text}`
}

const encodeContextKey = (name: string): string =>
  name === "" ? nothing : name.replaceAll(illegalInContextKey, escape)

/** Within one part of a path. */
const encodePart = (text: string): string => encode(text).replaceAll("/", "_x2f_").replaceAll(" ", "_x20_")

const parsed = (text: string): Value => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "number" || typeof value === "boolean" ? value : text
  } catch {
    return text
  }
}

/** The series that a key of `ofSeries` names. */
export const toSeries = (encoded: string): Series => {
  const at = encoded.indexOf(mark)
  if (at < 0) return { name: decode(encoded), context: {} }
  const context: { [key: string]: Value } = {}
  for (const one of encoded.slice(0, at).split("/")) {
    // The first `_` that is none of an escape ends the name of the key.
    const [, name, value] = /^((?:[^_]|_x[0-9a-f]{2,6}_)*)_(.*)$/s.exec(one) ?? []
    if (name === undefined || value === undefined) context["subset"] = decode(one)
    else Object.defineProperty(context, decode(name), { value: valueOf(value), enumerable: true, configurable: true })
  }
  return { name: decode(encoded.slice(at + mark.length)), context }
}

const valueOf = (encoded: string): Value => {
  const text = decode(encoded)
  return encoded.startsWith("_x") ? text : parsed(text)
}

/** A legal name as folders, none of them too long for a file system. */
export const folders = (encoded: string): string => encoded.split("/").map(pathPart).join("/")

/** A series as folders: its context, then its name. */
export const folderOf = (series: Series): string => folders(ofSeries(series).replace(mark, "/"))

/**
 * A path as the artifact store of a server takes it: as it is, but for what would leave the run's folder, and for `%` and `#`, which a server
 * of 3.18.0 decodes twice and refuses.
 */
export const path = (given: string): string => folders(given.replaceAll(illegalInPath, escape))

const illegalInPath =
  // oxlint-disable-next-line no-control-regex
  /[%#\\\u0000-\u001f\u007f]|_(?=x[0-9a-f]{2})|^\/|\/$|(?<=\/)\/|(?<=^|\/)\.(?=\.?(?:\/|$))/gu

/** Long parts are cut, with a digest of the whole before what follows the last dot. */
export const pathPart = (text: string): string => {
  if (utf8Bytes(text) <= pathPartBytes) return text
  const [extension = ""] = /\.[A-Za-z0-9]{1,8}$/.exec(text) ?? []
  let cut = ""
  for (const character of text) {
    if (utf8Bytes(cut) + 4 > pathPartBytes - 17 - extension.length) break
    cut += character
  }
  return `${cut}~${digest(text)}${extension}`
}
