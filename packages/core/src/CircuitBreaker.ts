/**
 * Whether a backend may be asked now: one answer for all lanes of all runs that it delivers, so that a service that is down, busy or refuses
 * a login meets one caller and not a thousand.
 *
 * It opens after `failuresMax` failures in a row, of whichever lanes; when the service asks to wait; and when it refused a login twice. Until
 * a time then nobody asks. After that one lane at a time does, the probe, and the others wait for how it fares: a success lets all of them go,
 * a failure begins the next, longer wait.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type * as Semaphore from "effect/Semaphore"
import { BackendError } from "./BackendError.ts"

/** Failures in a row before lanes stop trying each for itself. */
export const failuresMax = 5

/** Waits between attempts: anywhere between nothing and a limit that doubles from the first to the longest ("full jitter"). */
const waitFirst = Duration.millis(200)
const waitLongest = Duration.minutes(1)

/** Longest wait a service may ask for. */
const retryAfterMax = Duration.hours(1)

/**
 * A login that was refused is tried again by itself this rarely: credentials may have been renewed over there, and too many attempts lock
 * an account in many places.
 */
const loginAgainEvery = Duration.minutes(15)

/** And no sooner than this, whoever asks for it and how often. */
const loginAgainSoonest = Duration.seconds(2)

/** How long to wait after so many failures in a row: at least as long as was asked for. */
export const waitAfter = (failures: number, asked = Duration.zero): Effect.Effect<Duration.Duration> =>
  Effect.map(Random.next, (chance) => {
    const limit = Duration.min(Duration.times(waitFirst, 2 ** Math.min(failures - 1, 20)), waitLongest)
    const wait = Duration.max(Duration.times(limit, chance), Duration.min(asked, retryAfterMax))
    // Whole, since a clock's rounding makes of a part of a millisecond a sleep of nothing, again and again.
    return Duration.millis(Math.ceil(Duration.toMillis(wait)))
  })

/** Why nobody asks now. */
export interface Pause {
  /** `held`: until somebody acts. */
  readonly state: "waiting" | "held"
  readonly reason: string
}

export interface GuardOptions {
  readonly permits: Semaphore.Semaphore
  /** Whether a success shows that the service works: to open a run often asks it nothing. */
  readonly isProof: boolean
  /** Hears why it is not the caller's turn yet. */
  readonly onPause: (pause: Pause) => void
}

export class CircuitBreaker {
  /** In a row, of any lane. */
  private failures = 0
  private isOpen = false
  private isProbing = false
  private pause: Pause = { state: "waiting", reason: "" }
  /** Milliseconds since the Unix epoch. */
  private notBefore = Number.NEGATIVE_INFINITY
  private loginNotBefore = Number.NEGATIVE_INFINITY
  private changed = Latch.makeUnsafe(false)

  /**
   * Makes `call` with one of `permits` when it is its turn. What its outcome says of the service is noted; what is about one run, or about
   * this machine, says nothing of it.
   */
  guard<A, E, R>(call: Effect.Effect<A, E, R>, { isProof, onPause, permits }: GuardOptions): Effect.Effect<A, E, R> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        yield* this.admitted(onPause)
        // Who waited for a permit has to ask again: the ones before may have failed.
        const made = yield* permits.withPermit(
          Effect.suspend(() => Effect.flatMap(Clock.currentTimeMillis, (now) => this.attempt(now, call, isProof)))
        )
        if (made !== undefined) return made.value
      }
    })
  }

  /** Somebody has acted: one may ask now, or as soon as a login may be tried again at all. */
  retry(): void {
    if (!this.isOpen || this.pause.state !== "held") return
    this.notBefore = this.loginNotBefore
    this.tell()
  }

  /** Returns when a call may be made, as far as can be told now. */
  private admitted(onPause: (pause: Pause) => void): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        const left = Math.ceil(this.notBefore - (yield* Clock.currentTimeMillis))
        if (!this.isOpen || (left <= 0 && !this.isProbing)) return
        onPause(this.pause)
        yield* left > 0 ? Effect.raceFirst(this.changed.await, Effect.sleep(left)) : this.changed.await
      }
    })
  }

  /** `undefined` when it is not its turn after all. */
  private attempt<A, E, R>(now: number, call: Effect.Effect<A, E, R>, isProof: boolean) {
    const isProbe = this.isOpen
    if (isProbe && (now < this.notBefore || this.isProbing)) return Effect.undefined
    if (isProbe) this.isProbing = true
    return call.pipe(
      Effect.tap(() => Effect.sync(() => (isProof ? this.succeeded() : undefined))),
      Effect.tapError((error) => (error instanceof BackendError ? this.failed(error, isProbe) : Effect.void)),
      Effect.map((value) => ({ value })),
      Effect.ensuring(
        Effect.sync(() => {
          if (!isProbe) return
          this.isProbing = false
          this.tell()
        })
      )
    )
  }

  private succeeded(): void {
    this.failures = 0
    this.isOpen = false
    this.notBefore = Number.NEGATIVE_INFINITY
    this.tell()
  }

  private failed({ message, reason }: BackendError, isProbe: boolean): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      switch (reason._tag) {
        case "Transient":
        case "Throttled": {
          this.failures++
          const asked = reason._tag === "Throttled" ? Duration.seconds(reason.retryAfterSeconds) : undefined
          if (asked === undefined && this.failures < failuresMax) return Effect.void
          const inRow = `${message.replace(/\.$/, "")}. It has failed ${this.failures} times in a row, and is tried by one run at a time.`
          const pause = { state: "waiting", reason: this.failures < failuresMax ? message : inRow } as const
          return Effect.map(waitAfter(this.failures, asked), (wait) => this.open(pause, now + Duration.toMillis(wait)))
        }
        case "Unauthorised": {
          // The one that logs in again is a probe; who was under way at the same time says nothing new.
          if (!isProbe) return Effect.sync(() => this.open({ state: "waiting", reason: message }, now))
          this.loginNotBefore = now + Duration.toMillis(loginAgainSoonest)
          this.open({ state: "held", reason: message }, now + Duration.toMillis(loginAgainEvery))
          return Effect.void
        }
        case "Held":
        case "Poison":
          return Effect.void
      }
    })
  }

  /** All who wait look again. */
  private tell(): void {
    const before = this.changed
    this.changed = Latch.makeUnsafe(false)
    before.openUnsafe()
  }

  /** A wait that was asked for is not made shorter by who fails for another reason. */
  private open(pause: Pause, until: number): void {
    this.isOpen = true
    this.pause = pause
    this.notBefore = Math.max(this.notBefore, until)
    this.tell()
  }
}
