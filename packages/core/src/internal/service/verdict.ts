/** What an answer's status means for who delivers, where a backend does not know better. */
import * as Duration from "effect/Duration"
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import * as Headers from "effect/http/Headers"
import { Held, Poison, Throttled, Transient, Unauthorised, type Reason } from "../../BackendError.ts"

export interface Verdict {
  readonly reason: Reason
  /** What to do, as a sentence. */
  readonly advice: string
}

/** Bounds of what a service may ask for: a 0 would be hammered, and a year is a slip. */
const retryAfterSecondsMin = 1
const retryAfterSecondsMax = 3600

/**
 * Seconds to wait, `undefined` where the header is missing or nonsense. A date is reckoned by the answer's own `Date`: what counts is the
 * distance, which a clock that is wrong on either side does not change.
 */
export const retryAfterSeconds = (headers: Readonly<Record<string, string>>, nowMs: number): number | undefined => {
  const asked = Result.getOrUndefined(Headers.parseRetryAfter(headers["retry-after"] ?? ""))
  if (asked === undefined) return undefined
  const seconds =
    asked._tag === "Duration"
      ? Duration.toSeconds(asked.duration)
      : (DateTime.toEpochMillis(asked.dateTime) - (dateOf(headers) ?? nowMs)) / 1000
  return Math.min(Math.max(seconds, retryAfterSecondsMin), retryAfterSecondsMax)
}

const dateOf = (headers: Readonly<Record<string, string>>): number | undefined => {
  const date = Result.getOrUndefined(Headers.parseHttpDate(headers["date"] ?? ""))
  return date === undefined ? undefined : DateTime.toEpochMillis(date)
}

/** Of a status that is neither a success nor a redirect. */
export const verdictOf = (status: number, headers: Readonly<Record<string, string>>, nowMs: number): Verdict => {
  const asked = retryAfterSeconds(headers, nowMs)
  if (status === 429 || (status === 503 && asked !== undefined)) {
    const seconds = asked ?? retryAfterSecondsMin
    return {
      reason: new Throttled({ retryAfterSeconds: seconds }),
      advice: `It is asked again in ${Math.ceil(seconds)} s at the earliest.`
    }
  }
  if (status === 401) {
    return {
      reason: new Unauthorised(),
      advice: "Check user, password or token: nothing is sent until they are right."
    }
  }
  if (status === 403) {
    return {
      reason: new Held(),
      advice: "Ask for the right to write there, or check the address: nothing is sent until then."
    }
  }
  if (status === 408 || status === 425 || status >= 500) {
    return { reason: new Transient(), advice: "If it stays so, look into the service's own log." }
  }
  if (status >= 400) {
    return { reason: new Poison(), advice: "The same would be refused again, so what it refuses is put aside." }
  }
  return { reason: new Transient(), advice: "Is this the address of the service's API?" }
}
