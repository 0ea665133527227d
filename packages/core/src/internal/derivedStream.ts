/**
 * One derived journal at work (journal.md §13): a fold, what it takes in and what it writes. Who makes it go on, and when, is `Derivation`.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StorageError } from "../JournalStorage.ts"
import * as Name from "../Name.ts"
import { isStep } from "../Point.ts"
import type { Writer } from "../RunJournal.ts"
import { isSeriesContext } from "../SeriesContext.ts"
import type { Configured, Fold, Output } from "../StatefulProcessor.ts"
import type { DerivedEpoch } from "./derivedEpoch.ts"
import type * as DerivedJournal from "./derivedJournal.ts"
import type { MergedInput } from "./mergedInput.ts"

/** Another host writes the derived journal (J13.9): what it commits is read here, and nothing is written. */
export class WrittenElsewhere extends Schema.TaggedError<WrittenElsewhere>()("WrittenElsewhere", {
  message: Schema.String
}) {}

/** Most derived points in a group, and most points taken in before what came of them is committed. */
const groupOutputs = 2_048
const groupInputs = 65_536

/** While a run goes on, a group is committed at most this often: each costs a sync. */
const commitEvery = Duration.seconds(1)

/** One derived journal at work: a fold, what it reads and what it writes. */
export class DerivedStream {
  readonly writer: string
  /** The one writer it reads, or all of them. */
  readonly input: string | undefined
  readonly segments: Array<DerivedJournal.CommittedSegment>
  private readonly processor: Configured
  private readonly fold: Fold
  private readonly merged: MergedInput
  private readonly journal: DerivedJournal.DerivedWriter
  private readonly epoch: DerivedEpoch
  private pending: Array<Output> = []
  private takenIn = 0
  private committedAt = Number.NEGATIVE_INFINITY
  private refused = 0

  constructor(
    processor: Configured,
    found: DerivedJournal.Found,
    input: string | undefined,
    fold: Fold,
    merged: MergedInput,
    journal: DerivedJournal.DerivedWriter,
    epoch: DerivedEpoch
  ) {
    this.epoch = epoch
    this.processor = processor
    this.writer = found.writer
    this.input = input
    this.segments = [...found.segments]
    this.fold = fold
    this.merged = merged
    this.journal = journal
  }

  /** All that the writers gave was taken in, and what came of it is committed. */
  get isDone(): boolean {
    return this.merged.isEnded && this.pending.length === 0
  }

  get isIdle(): boolean {
    return this.pending.length === 0
  }

  /** Takes in what there is, up to a group. True when it is worth looking again at once. */
  advance(all: ReadonlyArray<Writer>, isUrgent: boolean): Effect.Effect<boolean, StorageError | WrittenElsewhere> {
    return Effect.gen({ self: this }, function* () {
      const writers = this.input === undefined ? all : all.filter(({ id }) => id === this.input)
      const now = yield* Clock.currentTimeMillis
      let hasMoved = false
      while (this.pending.length < groupOutputs && this.takenIn < groupInputs) {
        const inputs = yield* this.merged.next(writers, now / 1000)
        if (inputs.length === 0) break
        hasMoved = true
        for (const input of inputs) {
          if (input._tag === "Points") this.takenIn += input.points.count
          for (const output of this.fold.push(input)) yield* this.keep(output)
        }
      }
      const isDue = now - this.committedAt >= Duration.toMillis(commitEvery)
      const isFull = this.pending.length >= groupOutputs || this.takenIn >= groupInputs
      if (isFull || (this.pending.length > 0 && (isDue || isUrgent || this.merged.isEnded))) {
        yield* this.commit
        this.committedAt = now
        return true
      }
      return hasMoved
    })
  }

  /** Commits what it has, and shows it. Also of nothing: then what another host still writes behind what was found is void. */
  get commit(): Effect.Effect<void, StorageError | WrittenElsewhere> {
    return Effect.gen({ self: this }, function* () {
      const { id, version, config } = this.processor
      const { consumed } = this.merged
      yield* this.fence
      const segment = yield* this.journal.commit(this.pending, {
        processor: id,
        version,
        config,
        consumed,
        state: this.fold.snapshot()
      })
      // If another host has taken over meanwhile, it may have missed this commit.
      yield* this.fence
      yield* this.journal.removeOldStates
      this.pending = []
      this.takenIn = 0
      if (this.segments.at(-1)?.number === segment.number) this.segments.pop()
      this.segments.push(segment)
    })
  }

  private get fence(): Effect.Effect<void, StorageError | WrittenElsewhere> {
    return Effect.flatMap(this.epoch.isOurs, (isOurs) => (isOurs ? Effect.void : elsewhere(this.processor, this.epoch)))
  }

  /** What does not fit the journal is refused as a writer would, and said once. */
  private keep(output: Output): Effect.Effect<void> {
    const problem = problemOf(output)
    if (problem === undefined) {
      this.pending.push(output)
      return Effect.void
    }
    if (this.refused++ > 0) return Effect.void
    return Effect.logWarning(`${this.processor.name}: a derived point of ${output.name} is not kept: ${problem}.`)
  }
}

export const elsewhere = (
  { name }: Configured,
  epoch: DerivedEpoch
): Effect.Effect<never, StorageError | WrittenElsewhere> =>
  Effect.flatMap(epoch.owner, (owner) =>
    Effect.fail(
      new WrittenElsewhere({
        message:
          `The derived journal ${name} is written by ${owner}, and whether it goes on there cannot be seen from here. ` +
          `When it does not, \`tracelet sync --take-over\` goes on from this host.`
      })
    )
  )

const problemOf = ({ name, context, step }: Output): string | undefined => {
  if (!isStep(step)) return "its step is not a whole number within ±(2^53 − 1)"
  if (!isSeriesContext(context)) return "its context is not one of at most 16 keys and 4,096 bytes"
  return Name.problem(name)
}
