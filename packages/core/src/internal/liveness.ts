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

/** How old an answer may be before another probe is made. */
const probeEveryMillis = 500

export class Liveness {
  /** The last answer; `over` is for good. */
  life: Life = "alive"
  private askedAt = Number.NEGATIVE_INFINITY
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

  /** Asks now, and waits for the answer. */
  get ask(): Effect.Effect<Life> {
    if (this.life === "over") return Effect.succeed(this.life)
    // Locks of another boot on a file system that is not local say nothing (J8.4).
    if (!this.isLocal && this.boot !== this.storage.host.boot) {
      return Effect.sync(() => (this.life = "stale"))
    }
    return this.storage.probe(this.lockPath).pipe(
      Effect.map((state): Life => (state === "held" ? "alive" : state === "free" ? "over" : "stale")),
      Effect.orElseSucceed((): Life => "stale"),
      Effect.tap((life) => Effect.sync(() => void (this.life = life)))
    )
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
