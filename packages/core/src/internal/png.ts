/** Pixels as a PNG (W3C PNG, third edition): 8 bits a channel, rows filtered by the difference to the row above, which photos and charts both take well. */
import * as Effect from "effect/Effect"
import { encodeText } from "./bytes.ts"
import { crc32 } from "./crc32.ts"

/** Most pixels of an image: as bytes of four channels they are 256 MiB. */
export const pixelsMax = 64 * 1024 * 1024

export interface Pixels {
  /** Row by row, the channels of a pixel side by side: whole numbers from 0 to 255, or, as floats, from 0 to 1. */
  readonly data: Uint8Array | Uint8ClampedArray | Float32Array | Float64Array
  readonly width: number
  readonly height: number
  /** 1 grey, 2 grey and alpha, 3 red, green and blue, 4 these and alpha. Default: as many as `data` has. */
  readonly channels?: number
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

/** By number of channels. */
const colourTypes: ReadonlyMap<number, number> = new Map([
  [1, 0],
  [2, 4],
  [3, 2],
  [4, 6]
])

/** Why these are no pixels, or how many channels they have. */
const channelsOf = ({ channels, data, height, width }: Pixels): number | string => {
  const isSize = (length: number) => Number.isInteger(length) && length > 0
  if (!isSize(width) || !isSize(height)) return "width and height must be whole numbers above 0"
  if (width * height > pixelsMax) return `an image has at most ${pixelsMax} pixels`
  if (!isPixelData(data)) return "data must be a Uint8Array or a Float32Array"
  const count = channels ?? data.length / (width * height)
  if (!colourTypes.has(count) || count * width * height !== data.length) {
    return "data must have width × height × 1 to 4 channels"
  }
  return count
}

const isPixelData = (data: unknown): boolean =>
  data instanceof Uint8Array ||
  data instanceof Uint8ClampedArray ||
  data instanceof Float32Array ||
  data instanceof Float64Array

/** The PNG, or why there is none. */
export const encode = (
  pixels: Pixels,
  deflate: (bytes: Uint8Array) => Effect.Effect<Uint8Array>
): Effect.Effect<Uint8Array | string> => {
  const channels = channelsOf(pixels)
  if (typeof channels === "string") return Effect.succeed(channels)
  const { height, width } = pixels
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([8, colourTypes.get(channels) ?? 0], 8)
  return Effect.map(deflate(filtered(toBytes(pixels.data), width * channels, height)), (compressed) =>
    concatenate([
      Uint8Array.from(signature),
      chunk("IHDR", header),
      chunk("IDAT", compressed),
      chunk("IEND", new Uint8Array(0))
    ])
  )
}

const toBytes = (data: Pixels["data"]): Uint8Array | Uint8ClampedArray =>
  data instanceof Float32Array || data instanceof Float64Array
    ? // A clamped array rounds, and takes NaN for 0.
      Uint8ClampedArray.from(data, (value) => value * 255)
    : data

/** Each row begins with its filter: 2, the difference to the row above, which for the first is the row itself. */
const filtered = (data: Uint8Array | Uint8ClampedArray, stride: number, height: number): Uint8Array => {
  const out = new Uint8Array((stride + 1) * height)
  let to = 0
  for (let row = 0, from = 0; row < height; row++) {
    out[to++] = 2
    for (let i = 0; i < stride; i++, from++)
      out[to++] = (data[from] ?? 0) - (row === 0 ? 0 : (data[from - stride] ?? 0))
  }
  return out
}

/** Length, type, data, and the checksum of the last two. */
const chunk = (type: string, data: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(12 + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, data.length)
  bytes.set(encodeText(type), 4)
  bytes.set(data, 8)
  view.setUint32(8 + data.length, crc32(bytes, 4, 8 + data.length, 0))
  return bytes
}

const concatenate = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
