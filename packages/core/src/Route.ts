/**
 * Which events a backend gets. A backend without a route gets everything. Routes are pinned at the first delivery of a run, so a route
 * is data: its kinds, or a function with a name.
 */
import { kindOf, type Kind, type RunEvent } from "./RunEvent.ts"
import type { Json } from "./JsonObject.ts"

export interface Route {
  /** What the cursor file keeps of it. */
  readonly pinned: Json
  readonly accepts: (event: RunEvent) => boolean
}

/** Only these kinds. */
export const kinds = (...wanted: readonly [Kind, ...ReadonlyArray<Kind>]): Route => {
  const set = new Set<Kind>(wanted)
  return {
    pinned: { kinds: [...set].toSorted() },
    accepts: (event) => {
      const kind = kindOf(event)
      return kind !== undefined && set.has(kind)
    }
  }
}

/** What `accepts` says. The name is pinned in its place: give a changed function a new one. */
export const named = (name: string, accepts: (event: RunEvent) => boolean): Route => ({
  pinned: { function: name },
  accepts
})
