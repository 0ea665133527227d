/**
 * What could not be read of a run's journals, as its cursors say it once the run is closed (journal.md J4.4, J4.5). It is of the run and not of
 * one backend: each lane counts all of it.
 */
import type { Cursor, Losses } from "@tracelet/core/Cursor"
import * as Format from "./Format.ts"
import type * as Output from "./Output.ts"

const none: Losses = { gapBytes: 0, unknown: 0, damaged: 0 }

/** The key for a backend whose cursor this is; nothing where nothing was lost. */
export const ofCursor = (cursor: Cursor | "damaged" | undefined): { readonly losses?: Losses } => {
  const losses = cursor === undefined || cursor === "damaged" ? undefined : cursor.losses
  return losses === undefined || isNone(losses) ? {} : { losses }
}

const isNone = ({ gapBytes, unknown, damaged }: Losses): boolean => gapBytes + unknown + damaged === 0

/** A point's record is 40 bytes. */
const tornMax = 64

/**
 * Whether it is no more than what a kill leaves in the middle of a call. It may be a point that was damaged later, so it is said where a run is
 * shown; but it is no reason to warn of the run.
 */
export const isTorn = ({ gapBytes, unknown, damaged }: Losses): boolean =>
  gapBytes <= tornMax && unknown + damaged === 0

/** Of the run: its lanes may have been closed at different times. */
export const ofRun = (backends: Output.Backends): Losses | undefined => {
  const all = Object.values(backends).map(({ losses }) => losses ?? none)
  const most = {
    gapBytes: Math.max(0, ...all.map(({ gapBytes }) => gapBytes)),
    unknown: Math.max(0, ...all.map(({ unknown }) => unknown)),
    damaged: Math.max(0, ...all.map(({ damaged }) => damaged))
  }
  return isNone(most) ? undefined : most
}

export const add = (a: Losses = none, b: Losses = none): Losses => ({
  gapBytes: a.gapBytes + b.gapBytes,
  unknown: a.unknown + b.unknown,
  damaged: a.damaged + b.damaged
})

/** `4,096 bytes of the journal could not be read, 3 records are damaged: what they held was not delivered.` */
export const sentence = ({ gapBytes, unknown, damaged }: Losses): string => {
  if (isTorn({ gapBytes, unknown, damaged })) {
    return `${Format.plural(gapBytes, "byte")} of the journal could not be read: what a kill leaves of a call that had not returned.`
  }
  const parts = [
    ...(gapBytes > 0 ? [`${Format.plural(gapBytes, "byte")} of the journal could not be read`] : []),
    ...(damaged > 0 ? [`${Format.plural(damaged, "record")} ${damaged === 1 ? "is" : "are"} damaged`] : []),
    ...(unknown > 0
      ? [
          `${Format.plural(unknown, "record")} ${unknown === 1 ? "is" : "are"} of a kind that this version does not know`
        ]
      : [])
  ]
  return `${parts.join(", ")}: what was logged there was not delivered.`
}
