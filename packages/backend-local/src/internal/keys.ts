/**
 * Rows that are read in order have an integer key with the order packed into it, so that a table is one tree without a second index.
 * All keys stay below 2^53.
 */

/** Chunks of one stream: 2^22 × 512 points = 2 × 10^9. */
const chunksMax = 2 ** 22
/** Rows of one run's tail; `compact.ts` empties it long before. */
const tailMax = 2 ** 24

export const chunkKey = (stream: number, n: number): number => stream * chunksMax + n
export const tailKey = (run: number, n: number): number => run * tailMax + n
