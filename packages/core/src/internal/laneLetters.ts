/**
 * A lane's own view of its dead letter: read once, since nobody else writes it while the lane lives, and no more of it held than is needed
 * to put nothing there twice.
 */
import * as Effect from "effect/Effect"
import type { Batch } from "../Backend.ts"
import * as Cursor from "../Cursor.ts"
import * as DeadLetter from "../DeadLetter.ts"
import type { StorageError } from "../JournalStorage.ts"
import type { RunJournal } from "../RunJournal.ts"
import type { Rejected } from "../WriteReport.ts"

export class LaneLetters {
  private readonly run: RunJournal
  private readonly backend: string
  /** Keys of what lies there, or is to be sent again, with its place. */
  private readonly aside = new Map<string, DeadLetter.LetterId>()
  /** What is to be sent again, the next one last. */
  private asked: Array<DeadLetter.Letter> = []
  private own: Cursor.Settled = { delivered: 0, dropped: 0 }
  private isRead = false
  private isTorn = false

  constructor(run: RunJournal, backend: string) {
    this.run = run
    this.backend = backend
  }

  private get read(): Effect.Effect<void, StorageError> {
    return Effect.suspend(() => {
      if (this.isRead) return Effect.void
      return Effect.map(DeadLetter.read(this.run, this.backend), (contents) => {
        for (const letter of contents.letters) {
          if (letter.state === "refused" || letter.state === "retry") this.aside.set(DeadLetter.keyOf(letter), letter)
        }
        this.asked = contents.letters.filter(({ state }) => state === "retry").toReversed()
        this.own = DeadLetter.settledOf(contents)
        this.isTorn = contents.isTorn
        this.isRead = true
      })
    })
  }

  /** How many were delivered after all, or given up. */
  get settled(): Effect.Effect<Cursor.Settled, StorageError> {
    return Effect.map(this.read, () => this.own)
  }

  /** The next one that is to be sent again. */
  get next(): Effect.Effect<DeadLetter.Letter | undefined, StorageError> {
    return Effect.map(this.read, () => this.asked.at(-1))
  }

  /**
   * Events of a batch that were refused. What is sent again, since its mark was not kept, is refused again: each event has one letter all the
   * same. `marks` are those of before the batch.
   */
  put(batch: Batch, rejected: ReadonlyArray<Rejected>, marks: Cursor.Marks): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      yield* this.read
      // What lies before the marks does not come again.
      for (const [key, one] of this.aside) {
        if (Cursor.isBefore(one, marks.get(one.writer) ?? Cursor.start)) this.aside.delete(key)
      }
      const fresh = rejected
        .map((one) => DeadLetter.letterOf(batch, one))
        .filter((one) => !this.aside.has(DeadLetter.keyOf(one)))
      if (fresh.length === 0) return
      yield* this.append(DeadLetter.put(this.run, this.backend, { isTorn: this.isTorn }, fresh))
      for (const { index, position, writer } of fresh) {
        const one = { writer, position, index }
        this.aside.set(DeadLetter.keyOf(one), one)
      }
    })
  }

  /** What became of the next one: it was taken, or refused again. */
  answer(letter: DeadLetter.Letter, refusal: string | undefined): Effect.Effect<void, StorageError> {
    return Effect.suspend(() => {
      const torn = { isTorn: this.isTorn }
      const line =
        refusal === undefined
          ? DeadLetter.mark(this.run, this.backend, torn, [letter], "delivered")
          : DeadLetter.put(this.run, this.backend, torn, [{ ...letter, reason: refusal }])
      return Effect.map(this.append(line), () => {
        this.asked.pop()
        if (refusal === undefined) this.own = { ...this.own, delivered: this.own.delivered + 1 }
      })
    })
  }

  private append(line: Effect.Effect<void, StorageError>): Effect.Effect<void, StorageError> {
    // What a failed call may have written a part of is ended before anything comes behind it.
    return line.pipe(
      Effect.tap(() => Effect.sync(() => (this.isTorn = false))),
      Effect.onError(() => Effect.sync(() => (this.isTorn = true)))
    )
  }
}
