/**
 * Archives runs that are done, when there is nothing else to do: one at a time, a while after they were done, and never so that a delivery or
 * the agent's leaving waits for it. What it does not come to stays as it is, for the next agent or `tracelet archive`.
 */
import * as Archive from "@tracelet/core/Archive"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunId } from "@tracelet/core/Run"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A run rests this long first: children and late writers come in this time, and each of them would have it written anew. */
const graceMs = 5_000

export class Archivist {
  private readonly journal: Journal["Service"]
  private readonly scope: Scope.Scope
  /** When each run was done, oldest first. */
  private readonly doneAt = new Map<RunId, number>()
  private isWorking = false

  /** The scope is the agent's: an archive under way is given up when it closes, and nothing is lost by that. */
  constructor(journal: Journal["Service"], scope: Scope.Scope) {
    this.journal = journal
    this.scope = scope
  }

  /** The run is done. */
  add(run: RunId): Effect.Effect<void> {
    return Effect.map(Clock.currentTimeMillis, (now) => {
      this.doneAt.delete(run)
      this.doneAt.set(run, now)
    })
  }

  /** Begins the next one, if none is under way. Never fails and never waits. */
  get next(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      for (const [run, doneAt] of this.doneAt) {
        if (this.isWorking || now - doneAt < graceMs) return
        this.doneAt.delete(run)
        this.isWorking = true
        yield* this.archive(run).pipe(
          Effect.catchCause((cause) => Effect.logWarning(`Run ${run} is not archived, and stays as it is.`, cause)),
          Effect.ensuring(Effect.sync(() => void (this.isWorking = false))),
          Effect.forkIn(this.scope)
        )
      }
    })
  }

  private archive(id: RunId): Effect.Effect<void, StorageError> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        if (!(yield* Archive.isWanted(this.journal, id))) return
        const run = yield* this.journal.open(id)
        // Somebody delivers it again: then it is done again, too.
        if (!(yield* run.lock)) return
        const outcome = yield* Archive.archive(run)
        if (outcome._tag === "Archived") {
          yield* Effect.logInfo(`Run ${id} is archived: ${outcome.bytesAfter} bytes, from ${outcome.bytesBefore}.`)
        } else if (outcome._tag === "NotYet") yield* Effect.logInfo(`Run ${id} is not archived: ${outcome.reason}.`)
      })
    )
  }
}
