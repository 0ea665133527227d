/** The context of a series or a medium, for people. */
import type { SeriesContext } from "@tracelet/core/SeriesContext"
import * as Text from "./Text.ts"

/** `subset=val rank=3` */
export const contextText = (context: SeriesContext): string =>
  Text.printable(
    Object.entries(context)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}=${value}`)
      .join(" ")
  )
