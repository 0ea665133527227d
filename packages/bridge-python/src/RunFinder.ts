/**
 * Finds the runs of a folder that have something undelivered, whatever language wrote them, again and again. Whether another process
 * delivers a run is for who takes it to try; the answer comes back by `release`.
 *
 * A run whose cursors all say that they are closed costs two listings and the reading of those small files, once: nothing but a new
 * writer can add to it (journal.md J2.3, J7.9), so what is remembered of it is who its writers were.
 */
import type { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunId } from "@tracelet/core/Run"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** How long after a look the next one comes (A7). */
const lookEveryLively = "250 millis"
const lookEveryQuiet = "1 second"

/** How many of the runs that are known to be done are looked at again in one turn: a late writer reopens a run. */
const doneChecksMax = 64

/** How long a run that could not be taken is left alone: doubled each time up to the longest. */
const laterFirstMs = 1_000
const laterLongestMs = 5_000

/**
 * - `done`: nothing is left of what these writers logged.
 * - `later`: another process delivers it, or it cannot be read yet.
 */
export type Verdict = { readonly _tag: "done"; readonly writers: ReadonlyArray<string> } | { readonly _tag: "later" }

type Known =
  | { readonly _tag: "taken" }
  | { readonly _tag: "done"; readonly writers: string }
  | { readonly _tag: "later"; readonly at: number }

export class RunFinder {
  private readonly journal: Journal["Service"]
  private readonly isLively: () => boolean
  private readonly onDone: (run: RunId) => Effect.Effect<void>
  private readonly known = new Map<RunId, Known>()
  /** How long each run was last left alone; forgotten when it is done. */
  private readonly waits = new Map<RunId, number>()
  private readonly now = Latch.makeUnsafe(true)
  private doneTurn = 0
  /** True when the folder was looked through at least once. */
  hasLooked = false

  /**
   * @param isLively - whether some writer lives: then it looks four times a second.
   * @param onDone - is told of each run that is found done, or was delivered whole
   */
  constructor(
    journal: Journal["Service"],
    isLively: () => boolean,
    onDone: (run: RunId) => Effect.Effect<void> = () => Effect.void
  ) {
    this.journal = journal
    this.isLively = isLively
    this.onDone = onDone
  }

  /**
   * Runs to be delivered, each once until it is released. Never ends and never fails: a folder that cannot be read is looked at again.
   */
  get found(): Stream.Stream<RunId> {
    return Stream.paginate(undefined, () => Effect.map(this.next, (runs) => [runs, Option.some(undefined)] as const))
  }

  /** Look now. */
  get wake(): Effect.Effect<void> {
    return Effect.sync(() => void this.now.openUnsafe())
  }

  /** Whether it was there when the folder was last looked through, and something came of it. */
  knows(run: RunId): boolean {
    return this.known.has(run)
  }

  /** Takes a run that was not found by itself; false when it is taken already. */
  claim(run: RunId): boolean {
    if (this.known.get(run)?._tag === "taken") return false
    this.known.set(run, { _tag: "taken" })
    return true
  }

  /** What became of a run that was taken. */
  release(run: RunId, verdict: Verdict): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (verdict._tag === "done") {
        this.waits.delete(run)
        this.known.set(run, { _tag: "done", writers: verdict.writers.toSorted().join() })
        return this.onDone(run)
      }
      const waitMs = Math.min(2 * (this.waits.get(run) ?? laterFirstMs / 2), laterLongestMs)
      this.waits.set(run, waitMs)
      this.known.set(run, { _tag: "later", at: now + waitMs })
      return Effect.void
    })
  }

  /** The next runs there are: waits until a look finds some. */
  private get next(): Effect.Effect<ReadonlyArray<RunId>> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        yield* Effect.raceFirst(
          this.now.await,
          Effect.suspend(() => Effect.sleep(this.isLively() ? lookEveryLively : lookEveryQuiet))
        )
        this.now.closeUnsafe()
        const runs = yield* Effect.catch(this.look, (error) =>
          Effect.as(Effect.logWarning(`Cannot look for runs: ${error.message}`), [])
        )
        this.hasLooked = true
        if (runs.length > 0) return runs
      }
    })
  }

  private get look(): Effect.Effect<ReadonlyArray<RunId>, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const runs = yield* this.journal.runs
      const now = yield* Clock.currentTimeMillis
      const present = new Set(runs)
      for (const run of this.known.keys()) if (!present.has(run)) this.forget(run)
      const found: Array<RunId> = []
      for (const run of [...runs.filter((candidate) => this.isDue(candidate, now)), ...this.doneInTurn()]) {
        // A look at a thousand runs must not hold up whoever asks for the status.
        yield* Effect.yieldNow
        // One run that cannot be read must not keep the others from being found.
        const isFound = yield* Effect.catch(this.lookAt(run), (error) =>
          Effect.as(
            Effect.andThen(
              this.waits.has(run) ? Effect.void : Effect.logWarning(`Run ${run} cannot be read: ${error.message}`),
              this.release(run, { _tag: "later" })
            ),
            false
          )
        )
        if (isFound) found.push(run)
      }
      return found
    })
  }

  /** Whether there is something to deliver: then it is taken. */
  private lookAt(run: RunId): Effect.Effect<boolean, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const known = this.known.get(run)
      const writers = yield* this.writers(run)
      if (writers.length === 0 || (known?._tag === "done" && known.writers === writers.join())) return false
      if (known !== undefined || !(yield* this.isComplete(run, writers))) return this.claim(run)
      this.known.set(run, { _tag: "done", writers: writers.join() })
      yield* this.onDone(run)
      return false
    })
  }

  private isDue(run: RunId, now: number): boolean {
    const known = this.known.get(run)
    return known === undefined || (known._tag === "later" && known.at <= now)
  }

  private forget(run: RunId): void {
    // Who has taken it finds out by itself.
    if (this.known.get(run)?._tag === "taken") return
    this.known.delete(run)
    this.waits.delete(run)
  }

  private doneInTurn(): ReadonlyArray<RunId> {
    const done = [...this.known].filter(([, { _tag }]) => _tag === "done").map(([run]) => run)
    if (this.doneTurn >= done.length) this.doneTurn = 0
    const turn = done.slice(this.doneTurn, this.doneTurn + doneChecksMax)
    this.doneTurn += doneChecksMax
    return turn
  }

  /** Ids of those that have a segment, sorted. */
  private writers(run: RunId): Effect.Effect<ReadonlyArray<string>, StorageError> {
    return Effect.map(this.journal.writerIds(run), (ids) => [...ids].toSorted())
  }

  /** Whether some backend has a cursor, and all that have one are closed and know these writers. */
  private isComplete(run: RunId, writers: ReadonlyArray<string>): Effect.Effect<boolean, StorageError> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const cursors = yield* (yield* this.journal.open(run)).cursors
        for (const cursor of cursors.values()) {
          if (cursor === "damaged" || !cursor.closed) return false
          if (writers.some((writer) => cursor.writers[writer] === undefined)) return false
        }
        return cursors.size > 0
      })
    )
  }
}
