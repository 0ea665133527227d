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

/** What of a derived journal is committed (journal.md §13). */
export interface DerivedView extends WriterView {
  /** Of the processor: its folder. */
  readonly name: string
}

/** The derived journals of a run, to be read beside its writers. */
export interface DerivedViews {
  readonly views: Effect.Effect<ReadonlyArray<DerivedView>, StorageError>
  /** True when all of these writers was taken in and nothing more can come of it. */
  readonly isDone: (writers: ReadonlyArray<Writer>) => boolean
}

/** A reader that starts at `marks`. It holds files open until the scope closes. */
export const makeReader = (
  run: RunJournal,
  marks: Cursor.Marks,
  limits: Limits,
  derived: DerivedViews | undefined
): Effect.Effect<Reader, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const followers = new Map<string, Follower>()
    let drained = false
    let turn = 0
    const followerOf = (one: Writer | DerivedView): Effect.Effect<Follower, never, Scope.Scope> => {
      const known = followers.get(one.id)
      if (known !== undefined) return Effect.succeed(known)
      const from = marks.get(one.id) ?? Cursor.start
      const derivedBy = "name" in one ? one.name : undefined
      return Effect.tap(run.follow(one.id, from, limits, derivedBy), (follower) =>
        Effect.sync(() => followers.set(one.id, follower))
      )
    }
    const take = (one: Writer | DerivedView) =>
      Effect.flatMap(followerOf(one), (follower) => follower.take(one)).pipe(Effect.provideService(Scope.Scope, scope))
    const next = Effect.gen(function* () {
      const writers = yield* run.writers
      // Asked before what it has committed is listed: then nothing comes behind that list.
      const isDone = derived?.isDone(writers) !== false
      const all = derived === undefined ? writers : [...writers, ...(yield* derived.views)]
      let over = 0
      for (let i = 0; i < all.length; i++) {
        const one = all[(turn + i) % all.length]
        if (one === undefined) continue
        const [batch, progress] = yield* take(one)
        if (batch !== undefined) {
          drained = false
          // A writer with more to give lets the next one go first.
          turn = (turn + i + 1) % all.length
          return batch
        }
        if (progress === "drained") over++
      }
      drained = writers.length > 0 && over === writers.length && isDone
      return undefined
    })
    return {
      next,
      isDrained: () => drained,
      losses: () =>
        [...followers.values()].reduce((sum, follower) => addLosses(sum, follower.losses()), {
          ...noLosses,
          // Once: who goes on from marks has counted it before.
          gapBytes: marks.size === 0 ? run.lost : 0
        })
    }
  })
