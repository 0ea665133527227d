/**
 * How a failed run ended: the error and the exit code of its end record (journal.md J5.6). The store does not keep them, so they are read from
 * the ends of the journal.
 */
import * as Effect from "effect/Effect"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunJournal } from "@tracelet/core/RunJournal"

export interface Ending {
  readonly error?: string
  readonly exitCode?: number
}

/** Of several writers that failed, that of the first: the others often fail because of it. */
export const of = (run: RunJournal): Effect.Effect<Ending, StorageError> =>
  Effect.gen(function* () {
    const over = (yield* run.writersNow).filter(({ isOver }) => isOver)
    const endings = yield* Effect.forEach(over, (writer) => run.ending(writer))
    const [first] = endings
      .flatMap(({ finished }) => (finished === undefined || finished.status === "finished" ? [] : [finished]))
      .toSorted((a, b) => a.time - b.time)
    return {
      ...(first?.error === undefined ? {} : { error: first.error }),
      ...(first?.exitCode === undefined ? {} : { exitCode: first.exitCode })
    }
  })
