/** Compression in the thread pool: a megabyte takes a few milliseconds. Node has Zstandard since 22.15. */
import * as Effect from "effect/Effect"
import { deflate as zlibDeflate, zstdCompress, zstdDecompress } from "node:zlib"

export const deflate = (bytes: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    zlibDeflate(bytes, (error, compressed) => resume(error === null ? Effect.succeed(compressed) : Effect.die(error)))
  })

export const compress = (bytes: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    zstdCompress(bytes, (error, compressed) => resume(error === null ? Effect.succeed(compressed) : Effect.die(error)))
  })

/** Never makes more than `length` bytes, whatever the frame says. */
export const decompress = (bytes: Uint8Array, length: number): Effect.Effect<Uint8Array | undefined> =>
  Effect.callback((resume) => {
    zstdDecompress(bytes, { maxOutputLength: Math.max(1, length) }, (error, plain) =>
      resume(Effect.succeed(error === null && plain.length === length ? plain : undefined))
    )
  })
