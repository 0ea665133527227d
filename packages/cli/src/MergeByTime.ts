/**
 * Joins streams whose elements have a time into one, the earliest head first; of the same time, that of the earlier stream. What stands in
 * one stream keeps its order, so a clock that was set back does not turn a log around.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { BackendError } from "@tracelet/core/BackendError"

interface Lane<A> {
  readonly pull: Pull.Pull<ReadonlyArray<A>, BackendError>
  buffer: ReadonlyArray<A>
  at: number
  isOver: boolean
}

/** Elements come in arrays, as the streams had them. */
export const mergeByTime = <A extends { readonly time: number }>(
  streams: ReadonlyArray<Stream.Stream<A, BackendError>>
): Stream.Stream<ReadonlyArray<A>, BackendError> =>
  Stream.scoped(
    Stream.fromPull(
      Effect.gen(function* () {
        const lanes: Array<Lane<A>> = []
        for (const stream of streams)
          lanes.push({ pull: yield* Stream.toPull(stream), buffer: [], at: 0, isOver: false })
        return Effect.gen(function* () {
          for (const lane of lanes) yield* fill(lane)
          const merged = take(lanes)
          return merged.length === 0 ? yield* Cause.done() : ([merged] as const)
        })
      })
    )
  )

/** Afterwards the lane has an element at `at`, or is over. */
const fill = <A>(lane: Lane<A>): Effect.Effect<void, BackendError> =>
  Effect.suspend(() => {
    if (lane.isOver || lane.at < lane.buffer.length) return Effect.void
    return Pull.catchDone(
      Effect.map(lane.pull, (buffer) => {
        lane.buffer = buffer
        lane.at = 0
      }),
      () => Effect.sync(() => void (lane.isOver = true))
    )
  })

/** Elements in order, until a lane has to be filled first. */
const take = <A extends { readonly time: number }>(lanes: ReadonlyArray<Lane<A>>): ReadonlyArray<A> => {
  const open = lanes.filter(({ isOver }) => !isOver)
  const merged: Array<A> = []
  for (;;) {
    let first: { readonly lane: Lane<A>; readonly head: A } | undefined
    for (const lane of open) {
      const head = lane.buffer[lane.at]
      if (head === undefined) return merged
      if (first === undefined || head.time < first.head.time) first = { lane, head }
    }
    if (first === undefined) return merged
    merged.push(first.head)
    first.lane.at++
  }
}
