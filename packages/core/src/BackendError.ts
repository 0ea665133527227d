/**
 * How a call to a backend fails as a whole. The reason says whether trying again can help, and after how long; `Delivery` acts on that
 * and on nothing else. What one event did wrong belongs into a `WriteReport`.
 */
import * as Schema from "effect/Schema"

/** The network, a time-out, a 5xx: comes back by itself. Retried without end. */
export class Transient extends Schema.TaggedClass<Transient>()("Transient", {}) {}

/** The service asks to wait: all lanes of the backend do, for an hour at most. */
export class Throttled extends Schema.TaggedClass<Throttled>()("Throttled", { retryAfterSeconds: Schema.Finite }) {}

/** Wrong or missing credentials: one lane logs in again once, then all of the backend are held. */
export class Unauthorised extends Schema.TaggedClass<Unauthorised>()("Unauthorised", {}) {}

/** The run is gone or closed over there, or may not be written: the lane is held until a user acts. */
export class Held extends Schema.TaggedClass<Held>()("Held", {}) {}

/** The service refuses the batch and will refuse it again: bisected, the culprit goes to the dead letter. */
export class Poison extends Schema.TaggedClass<Poison>()("Poison", {}) {}

export const Reason = Schema.Union([Transient, Throttled, Unauthorised, Held, Poison])
export type Reason = typeof Reason.Type

/** `message` says what was tried, on what, what came back and what to do. It never holds a secret. */
export class BackendError extends Schema.TaggedError<BackendError>()("BackendError", {
  backend: Schema.String,
  message: Schema.String,
  reason: Reason,
  cause: Schema.optional(Schema.Defect())
}) {
  /** Whether the same call may succeed later without anybody doing anything. */
  get isRetryable(): boolean {
    return this.reason._tag === "Transient" || this.reason._tag === "Throttled"
  }
}

export const transient = (backend: string, message: string, cause?: unknown): BackendError =>
  new BackendError({ backend, message, reason: new Transient(), ...(cause === undefined ? {} : { cause }) })

export const poison = (backend: string, message: string, cause?: unknown): BackendError =>
  new BackendError({ backend, message, reason: new Poison(), ...(cause === undefined ? {} : { cause }) })

export const held = (backend: string, message: string, cause?: unknown): BackendError =>
  new BackendError({ backend, message, reason: new Held(), ...(cause === undefined ? {} : { cause }) })
