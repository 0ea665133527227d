/**
 * All events of a run from given marks on, writer by writer and fairly: what lanes and counts read. A writer's part is `Follower`'s.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Batch } from "../Backend.ts"
import * as Cursor from "../Cursor.ts"
import type { StorageError } from "../JournalStorage.ts"
import type { Reader, RunJournal, Writer } from "../RunJournal.ts"
import { addLosses, noLosses, type Limits } from "./decoder.ts"
import type { Progress, WriterView } from "./writerTail.ts"

/** Reads one writer from a mark on. It holds a file open until the scope it was made in closes. */
export interface Follower {
  /** The mark behind all that was taken. */
  readonly mark: () => Cursor.Mark
  /** The next events, and why there are no more of them now. */
  readonly take: (writer: WriterView) => Effect.Effect<readonly [Batch | undefined, Progress], StorageError>
  /** What could not be read so far. */
  readonly losses: () => Cursor.Losses
}

/** A reader that starts at `marks`. It holds files open until the scope closes. */
export const makeReader = (
  run: RunJournal,
  marks: Cursor.Marks,
  limits: Limits
): Effect.Effect<Reader, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const followers = new Map<string, Follower>()
    let drained = false
    let turn = 0
    const followerOf = (id: string): Effect.Effect<Follower, never, Scope.Scope> => {
      const known = followers.get(id)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.tap(run.follow(id, marks.get(id) ?? Cursor.start, limits), (follower) =>
        Effect.sync(() => followers.set(id, follower))
      )
    }
    const take = (writer: Writer) =>
      Effect.flatMap(followerOf(writer.id), (follower) => follower.take(writer)).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
    const next = Effect.gen(function* () {
      const writers = yield* run.writers
      let over = 0
      for (let i = 0; i < writers.length; i++) {
        const writer = writers[(turn + i) % writers.length]
        if (writer === undefined) continue
        const [batch, progress] = yield* take(writer)
        if (batch !== undefined) {
          drained = false
          // A writer with more to give lets the next one go first.
          turn = (turn + i + 1) % writers.length
          return batch
        }
        if (progress === "drained") over++
      }
      drained = writers.length > 0 && over === writers.length
      return undefined
    })
    return {
      next,
      isDrained: () => drained,
      losses: () => [...followers.values()].reduce((sum, follower) => addLosses(sum, follower.losses()), noLosses)
    }
  })
