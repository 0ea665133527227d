/** Synchronous work on a database as an Effect: a lock is waited for without holding up the thread, a failure says what was tried. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { BackendError } from "@tracelet/core/BackendError"
import { isBusy, toBackendError } from "./failures.ts"

/** Waits for a lock block the thread, so they are short; between two of them the fiber sleeps. 250 × (5 + 15) ms = 5 s in all. */
export const busyMillis = 5
const pause = Schedule.spaced("15 millis")
const tries = 250

/** `doing` completes "Could not …" in the message. `work` is run again after a lock: it must do all or nothing. */
export const attempt = <A>(doing: string, file: string, work: () => A): Effect.Effect<A, BackendError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(work())
    } catch (failure) {
      return Effect.fail(failure)
    }
  }).pipe(
    Effect.retry({ while: isBusy, times: tries, schedule: pause }),
    Effect.mapError((failure) => toBackendError(doing, file, failure))
  )
