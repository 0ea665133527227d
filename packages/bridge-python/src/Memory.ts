/**
 * Gives memory back when the work is done. V8 sees no reason to collect in a process that does nothing, so after a large run the agent
 * would keep its last batches for as long as it is idle: 8 MB of them after a backlog of a million points.
 */
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** A full collection, of a few milliseconds in a heap of this size. Nothing happens where V8 does not offer it. */
export const collectGarbage: Effect.Effect<void> = Effect.sync(() => {
  try {
    setFlagsFromString("--expose-gc")
    const collect: unknown = runInNewContext("gc")
    if (typeof collect === "function") collect()
  } catch {
    // Another JavaScript engine, or flags that are frozen.
  }
})
