/**
 * A run's events as a Stream, for an Effect app that wants to follow what a Python trainer logs: `tail` gives what is there, then what
 * comes, and ends when every writer is over and read to its end. Delivery does not use it: lanes read the journal themselves.
 */
import type { Batch } from "@tracelet/core/Backend"
import type * as Cursor from "@tracelet/core/Cursor"
import { Journal, type JournalError } from "@tracelet/core/Journal"
import type { RunId } from "@tracelet/core/Run"
import type { Reader } from "@tracelet/core/RunJournal"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export interface TailOptions {
  /** Where to begin in each writer's stream. Default: at its start. */
  readonly from?: Cursor.Marks
  /** Most points of one batch; each other event counts as one. Default 16,384: about 0.7 MB of columns. */
  readonly pointsMax?: number
  /** Most bytes of one batch that are not points. Default 1 MiB. */
  readonly bytesMax?: number
}

/** How long it waits when there is nothing new: doubled each time up to the longest. */
const pollShortest = Duration.millis(10)
const pollLongest = Duration.seconds(1)

/**
 * Batches of one writer each, in the order of that writer; of several writers by turns. A batch's `to` marks where another `tail` goes on.
 * A run that is not there yet is waited for.
 *
 * @example
 * ```ts
 * const losses = RunEvents.tail(run).pipe(
 *   Stream.flatMap((batch) => Stream.fromIterable(batch.events)),
 *   Stream.filter((event) => event._tag === "PointBatch")
 * )
 * ```
 */
export const tail = (run: RunId, options: TailOptions = {}): Stream.Stream<Batch, JournalError, Journal> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const journal = yield* (yield* Journal).open(run)
      const limits = { points: options.pointsMax ?? 16_384, bytes: options.bytesMax ?? 1_048_576 }
      const reader = yield* journal.reader(options.from ?? new Map(), limits)
      return Stream.unfold(undefined, () =>
        Effect.map(next(reader, pollShortest), (batch) => (batch === undefined ? undefined : [batch, undefined]))
      )
    })
  )

/** Waits for the next batch; `undefined` when there will be none. */
const next = (reader: Reader, pause: Duration.Duration): Effect.Effect<Batch | undefined, JournalError> =>
  Effect.flatMap(reader.next, (batch) => {
    if (batch !== undefined || reader.isDrained()) return Effect.succeed(batch)
    const longer = Duration.min(Duration.times(pause, 2), pollLongest)
    return Effect.andThen(
      Effect.sleep(pause),
      Effect.suspend(() => next(reader, longer))
    )
  })
