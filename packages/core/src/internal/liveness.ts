/**
 * Whether a writer lives, as far as its lock can tell from here (journal.md §8). A probe of a living writer takes up to 150 ms, so
 * readers use the last answer and have a new one made beside them.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { JournalStorage } from "../JournalStorage.ts"

/** `stale`: it cannot be known from here. */
export type Life = "alive" | "over" | "stale"

/** A writer whose lock says nothing is alive while something of it was read within this time: three heartbeats (J5.7). */
const silenceMillis = 90_000

/** How old an answer may be before another probe is made. */
const probeEveryMillis = 500

export class Liveness {
  /** The last answer; `over` is for good. */
  life: Life = "alive"
  private askedAt = Number.NEGATIVE_INFINITY
  private movedAt = Number.NEGATIVE_INFINITY
  private readonly storage: JournalStorage["Service"]
  private readonly lockPath: string
  private readonly boot: string
  private readonly isLocal: boolean

  constructor(storage: JournalStorage["Service"], lockPath: string, boot: string, isLocal: boolean) {
    this.storage = storage
    this.lockPath = lockPath
    this.boot = boot
    this.isLocal = isLocal
  }

  /** Something new of the writer was read. */
  touch(now: number): void {
    this.movedAt = now
    if (this.life === "stale") this.life = "alive"
  }

  /** Asks now, and waits for the answer. */
  get ask(): Effect.Effect<Life> {
    return Effect.suspend(() => (this.life === "over" ? Effect.succeed(this.life) : this.answer)).pipe(
      Effect.tap((life) => Effect.sync(() => void (this.life = life)))
    )
  }

  private get answer(): Effect.Effect<Life> {
    // Locks of another boot on a file system that is not local say nothing (J8.4).
    if (!this.isLocal && this.boot !== this.storage.host.boot) return this.byMovement
    return this.storage.probe(this.lockPath).pipe(
      Effect.orElseSucceed(() => "unknown" as const),
      Effect.flatMap((state) =>
        state === "unknown"
          ? this.byMovement
          : Effect.succeed(state === "held" ? ("alive" as const) : ("over" as const))
      )
    )
  }

  private get byMovement(): Effect.Effect<Life> {
    return Effect.map(Clock.currentTimeMillis, (now) => (now - this.movedAt < silenceMillis ? "alive" : "stale"))
  }

  /** Asks in `scope`, without waiting, when the last answer is old. */
  refresh(scope: Scope.Scope): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (this.life === "over" || now - this.askedAt < probeEveryMillis) return Effect.void
      this.askedAt = now
      return Effect.asVoid(Effect.forkIn(this.ask, scope))
    })
  }
}
