/**
 * Reading and writing numbers in little-endian buffers. An i64 is read as a float64, exact within ±2^53: BigInt is ten times slower.
 */

/** One buffer under the three views the codec needs. */
export class Bytes {
  readonly u8: Uint8Array<ArrayBuffer>
  readonly view: DataView
  constructor(length: number) {
    this.u8 = new Uint8Array(length)
    this.view = new DataView(this.u8.buffer)
  }
}

export const getInt64 = (view: DataView, offset: number): number =>
  view.getInt32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true)

export const setInt64 = (view: DataView, offset: number, value: number): void => {
  const high = Math.floor(value / 2 ** 32)
  view.setUint32(offset, value - high * 2 ** 32, true)
  view.setInt32(offset + 4, high, true)
}

export const align8 = (length: number): number => (length + 7) & ~7

// In every JavaScript runtime, but not in the language's own library of types.
declare const TextEncoder: new () => { readonly encode: (text: string) => Uint8Array<ArrayBuffer> }
declare const TextDecoder: new (
  label: string,
  options: { readonly fatal: boolean }
) => { readonly decode: (bytes: Uint8Array) => string }

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

export const encodeText = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text)

/** `undefined` when the bytes are no UTF-8. */
export const decodeText = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** `undefined` when the bytes are no JSON. */
export const decodeJson = (bytes: Uint8Array): unknown => {
  const text = decodeText(bytes)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
