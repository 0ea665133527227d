/**
 * The CRC-32 of zlib (reflected 0xEDB88320), with its seed. In JavaScript, since core has no platform: on records of 32 bytes it is
 * faster than a call into native code (bench/journal).
 */
/* oxlint-disable typescript/no-unsafe-type-assertion -- a measured hot path: elements of typed arrays within their bounds are numbers */

/** Slicing-by-8: `tables[k * 256 + b]` advances byte b over k further zero bytes. */
const tables = new Int32Array(8 * 256)
for (let b = 0; b < 256; b++) {
  let crc = b
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  tables[b] = crc
}
for (let b = 0; b < 256; b++) {
  let crc = tables[b] as number
  for (let k = 1; k < 8; k++) {
    crc = (tables[crc & 0xff] as number) ^ (crc >>> 8)
    tables[k * 256 + b] = crc
  }
}

/**
 * CRC-32 of `bytes[from, to)`, as an unsigned number; equal to `zlib.crc32(bytes[from:to], seed)`.
 */
export const crc32 = (bytes: Uint8Array, from: number, to: number, seed: number): number => {
  let crc = ~seed
  let i = from
  for (const last = to - 8; i <= last; i += 8) {
    const low =
      crc ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24))
    crc =
      (tables[1792 + (low & 0xff)] as number) ^
      (tables[1536 + ((low >>> 8) & 0xff)] as number) ^
      (tables[1280 + ((low >>> 16) & 0xff)] as number) ^
      (tables[1024 + (low >>> 24)] as number) ^
      (tables[768 + (bytes[i + 4] as number)] as number) ^
      (tables[512 + (bytes[i + 5] as number)] as number) ^
      (tables[256 + (bytes[i + 6] as number)] as number) ^
      (tables[bytes[i + 7] as number] as number)
  }
  for (; i < to; i++) crc = (tables[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** The seed of the record at `position` in a segment with `salt` (J3.3). */
export const recordSeed = (salt: number, position: number): number =>
  (salt ^ (position >>> 0) ^ Math.floor(position / 2 ** 32)) >>> 0
