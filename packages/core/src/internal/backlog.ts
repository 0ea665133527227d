/**
 * How many events lie behind a lane's marks, without reading anything twice: a status that is asked for every few milliseconds must not
 * read a million points each time. It counts what the journal holds once; what the lane has done since is the lane's own count (what lies
 * before its marks is delivered, rejected or filtered).
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { passed } from "../Cursor.ts"
import type { LaneStatus } from "../Delivery.ts"
import type { StorageError } from "../JournalStorage.ts"
import { countOf } from "../RunEvent.ts"
import type { Reader, RunJournal } from "../RunJournal.ts"
import type { Limits } from "./decoder.ts"
import type { DerivedViews } from "./reader.ts"

/** Small enough that decoding one batch holds nobody up for more than about a millisecond. */
const limits: Limits = { points: 16_384, bytes: 1024 * 1024 }

export class Backlog {
  private readonly run: RunJournal
  private readonly derived: DerivedViews
  private readonly scope: Scope.Scope
  private readonly one = Semaphore.makeUnsafe(1)
  private reader: Reader | undefined
  /** Events before the reader: those before the marks it began at, and those it has passed. */
  private counted = 0

  /** The journal's files that it reads are open until the scope closes. */
  constructor(run: RunJournal, derived: DerivedViews, scope: Scope.Scope) {
    this.run = run
    this.derived = derived
    this.scope = scope
  }

  /** Events behind the marks of `status`. */
  pending(status: LaneStatus): Effect.Effect<number, StorageError> {
    return this.one.withPermit(
      Effect.gen({ self: this }, function* () {
        if (this.reader === undefined) {
          // Both are read before anything else may run: they belong to one moment.
          this.counted = passed(status.counts)
          const marks = new Map(status.marks)
          this.reader = yield* Effect.provideService(
            this.run.reader(marks, limits, this.derived),
            Scope.Scope,
            this.scope
          )
        }
        for (let batch = yield* this.reader.next; batch !== undefined; batch = yield* this.reader.next) {
          for (const event of batch.events) this.counted += countOf(event)
          yield* Effect.yieldNow
        }
        return Math.max(0, this.counted - passed(status.counts))
      })
    )
  }
}
