/**
 * Whether this host may deliver a run to a backend where locks of other hosts cannot be seen (journal.md J7.4): those of the writers' own boot
 * may, until another host has taken the delivery over; then only that one may. Where locks decide, who holds `delivery.lock` may.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { held, transient, type BackendError } from "../BackendError.ts"
import type { Capabilities } from "../Capabilities.ts"
import type * as Cursor from "../Cursor.ts"
import type { StorageError } from "../JournalStorage.ts"
import type { RunJournal } from "../RunJournal.ts"

/**
 * - `locks`: nothing else has to be asked.
 * - `own`: it is ours, and the epoch has to be asked before each send.
 * - `aside`: somebody else's; but the backend is this host's alone, and keeps its marks itself: its cursor file is not ours to write.
 */
export type Authority = "locks" | "own" | "aside"

export interface Request {
  readonly name: string
  readonly run: RunJournal
  /** As it was found, or a new one. */
  readonly cursor: Cursor.Cursor
  readonly identity: Capabilities["identity"]
  /** Whether the user said that this host takes over. */
  readonly takeOver: boolean
}

/** The cursor to go on with, of a greater epoch when the delivery was taken over. Fails with `held` when it is another host's. */
export const claim = ({
  cursor,
  identity,
  name,
  run,
  takeOver
}: Request): Effect.Effect<
  { readonly authority: Authority; readonly cursor: Cursor.Cursor },
  BackendError | StorageError
> =>
  Effect.gen(function* () {
    if (yield* run.locksDecide) return { authority: "locks", cursor }
    const { boot, name: host } = run.host
    const last = cursor.takeOvers?.at(-1)
    const writers = yield* run.writers
    // Any host would pass for that of no writers.
    if (last === undefined && writers.length === 0) {
      return yield* transient(
        name,
        `Run ${run.id} has no writer yet that could be read, so whose it is to deliver is not known`
      )
    }
    const isOwn =
      last === undefined
        ? writers.every(({ identity: { boot: theirs } }) => theirs === boot)
        : last.host === host && last.boot === boot
    if (isOwn) return { authority: "own", cursor }
    if (identity === "position") return { authority: "aside", cursor }
    if (!takeOver) {
      const who =
        last === undefined
          ? `Its writers are of ${writers.find(({ identity: { boot: theirs } }) => theirs !== boot)?.identity.host ?? "another host"}`
          : `${last.host} has taken its delivery over (epoch ${last.epoch})`
      return yield* held(
        name,
        `${who}, and whether it is delivered there cannot be seen from here. When it is not, \`tracelet sync --take-over\` delivers it from this host.`
      )
    }
    // An epoch that somebody began and has not written yet counts too.
    const epoch = Math.max(cursor.epoch, yield* run.epoch(name)) + 1
    const at = (yield* Clock.currentTimeMillis) / 1000
    const uncertain = identity !== "point"
    const taken: Cursor.Cursor = {
      ...cursor,
      epoch,
      takeOvers: [...(cursor.takeOvers ?? []), { epoch, at, host, boot, uncertain }]
    }
    if (!(yield* run.takeOver(taken))) {
      return yield* held(name, `Another host is taking over the delivery of run ${run.id} at this moment.`)
    }
    return { authority: "own", cursor: taken }
  })

/** Fails with `held` when another host has taken over since. */
export const check = (name: string, run: RunJournal, own: number): Effect.Effect<void, BackendError | StorageError> =>
  Effect.flatMap(run.epoch(name), (epoch) =>
    epoch > own
      ? held(
          name,
          `Another host has taken over the delivery of run ${run.id} (epoch ${epoch}, here it was ${own}): nothing more is sent from here.`
        )
      : Effect.void
  )
