/**
 * How a failed run ended: the error and the exit code of its end record (journal.md J5.6). The store does not keep them, so the journal is read
 * to its end, which costs about a second for some million points.
 */
import * as Effect from "effect/Effect"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunFinished } from "@tracelet/core/RunEvent"
import type { RunJournal } from "@tracelet/core/RunJournal"

export interface Ending {
  readonly error?: string
  readonly exitCode?: number
}

/** Read at once. */
const limits = { points: 65_536, bytes: 16 * 1024 * 1024 }

/** Of several writers that failed, that of the first: the others often fail because of it. */
export const of = (run: RunJournal): Effect.Effect<Ending, StorageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* run.reader(new Map(), limits)
      const lastByWriter = new Map<string, RunFinished>()
      for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
        for (const event of batch.events) if (event._tag === "RunFinished") lastByWriter.set(batch.writer, event)
      }
      const [first] = [...lastByWriter.values()]
        .filter(({ status }) => status !== "finished")
        .toSorted((a, b) => a.time - b.time)
      return {
        ...(first?.error === undefined ? {} : { error: first.error }),
        ...(first?.exitCode === undefined ? {} : { exitCode: first.exitCode })
      }
    })
  )
