/**
 * Runs the stateful processors of one run: reads its writers, folds, and commits what comes of it into derived journals, from which the
 * lanes read. Only under the run's `delivery.lock` (journal.md J8.5, §13).
 *
 * Each commit holds the points, how far the inputs were read and the processor's state, all at one moment. So a kill at any place loses
 * nothing and changes nothing: the next host goes on from the last commit and derives the same again (docs/adr/0008).
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { StorageError } from "./JournalStorage.ts"
import type { RunEvent } from "./RunEvent.ts"
import type { RunJournal, Writer } from "./RunJournal.ts"
import type { Configured } from "./StatefulProcessor.ts"
import * as DerivedJournal from "./internal/derivedJournal.ts"
import { claim, type DerivedEpoch } from "./internal/derivedEpoch.ts"
import { DerivedStream, elsewhere, type WrittenElsewhere } from "./internal/derivedStream.ts"
import { MergedInput, selector } from "./internal/mergedInput.ts"
import type { DerivedView, DerivedViews } from "./internal/reader.ts"

/** A derived journal that cannot be gone on with. The lanes of its run are held until somebody acts. */
export class DerivationError extends Schema.TaggedError<DerivationError>()("DerivationError", {
  processor: Schema.String,
  message: Schema.String
}) {}

/** Why the lanes of a run get no more derived points. */
export interface Problem {
  /**
   * - `waiting`: it is tried again by itself.
   * - `held`: nothing of the run is delivered until somebody acts.
   * - `elsewhere`: another host derives. What was captured and what that one has committed is delivered.
   */
  readonly state: "waiting" | "held" | "elsewhere"
  readonly reason: string
}

type Failure = StorageError | DerivationError | WrittenElsewhere

/** How long to wait when there is nothing to do, doubled each time up to the longest; and after a failure. */
const pollShortest = Duration.millis(10)
const pollLongest = Duration.seconds(1)
const retryAfter = Duration.seconds(1)

/** One stateful processor of one run. */
class Derivation {
  readonly processor: Configured
  problem: Problem | undefined
  isCaughtUp = false
  private readonly run: RunJournal
  private readonly epoch: DerivedEpoch
  private readonly onCommit: () => void
  private readonly wakeUp = Latch.makeUnsafe(false)
  private isUrgent = false
  private streams = new Map<string, DerivedStream>()
  /** As they were found, and not yet gone on with: what is committed there is read all the same. */
  private found: ReadonlyMap<string, DerivedJournal.Found> = new Map()

  constructor(run: RunJournal, processor: Configured, epoch: DerivedEpoch, onCommit: () => void) {
    this.run = run
    this.epoch = epoch
    this.processor = processor
    this.onCommit = onCommit
  }

  /** Looks now, and commits what it has. */
  wake(): void {
    this.isCaughtUp = false
    this.isUrgent = true
    this.wakeUp.openUnsafe()
  }

  get views(): ReadonlyArray<DerivedView> {
    const all = new Map<string, ReadonlyArray<DerivedJournal.CommittedSegment>>()
    for (const { writer, segments } of this.found.values()) all.set(writer, segments)
    for (const { writer, segments } of this.streams.values()) all.set(writer, segments)
    return [...all].flatMap(([writer, segments]) => DerivedJournal.viewOf(this.processor.name, writer, segments))
  }

  isDone(writers: ReadonlyArray<Writer>): boolean {
    const { scope } = this.processor
    return writers.every(({ id }) => {
      const stream = this.streams.get(scope === "run" ? "" : id)
      return stream?.isDone === true && (scope === "writer" || this.known.has(id))
    })
  }

  /** The writers that the last look saw. */
  private known = new Set<string>()

  /** Derives until interrupted. Never fails. */
  get derive(): Effect.Effect<never> {
    return this.session.pipe(
      Effect.scoped,
      Effect.catchCause((cause) => this.recover(cause)),
      Effect.forever
    )
  }

  private get session(): Effect.Effect<never, Failure, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const { storage, folder, id } = this.run
      const found = yield* DerivedJournal.find(storage, folder, id, this.processor.name)
      // What a host that was killed has committed may not be synced yet: nobody reads it before it is.
      yield* DerivedJournal.sync(storage, folder, this.processor.name, found.values())
      if (!(yield* this.epoch.isSettled(found.values()))) return yield* elsewhere(this.processor, this.epoch)
      this.found = found
      this.streams = new Map()
      this.onCommit()
      let pause = pollShortest
      for (;;) {
        this.wakeUp.closeUnsafe()
        const { isUrgent } = this
        this.isUrgent = false
        const writers = yield* this.run.writers
        for (const input of this.processor.scope === "run" ? [undefined] : writers.map((writer) => writer.id)) {
          if (!this.streams.has(input ?? "")) this.streams.set(input ?? "", yield* this.open(input))
        }
        let hasMoved = false
        for (const stream of this.streams.values()) {
          if (stream.isDone && stream.input !== undefined) continue
          hasMoved = (yield* stream.advance(writers, isUrgent)) || hasMoved
        }
        this.known = new Set(writers.map((writer) => writer.id))
        this.problem = undefined
        if (hasMoved) {
          // Looked at again before it is called caught up.
          this.isUrgent ||= isUrgent
          this.onCommit()
          pause = pollShortest
          continue
        }
        this.isCaughtUp = [...this.streams.values()].every((stream) => stream.isIdle)
        yield* Effect.raceFirst(this.wakeUp.await, Effect.sleep(pause))
        pause = Duration.min(Duration.times(pause, 2), pollLongest)
      }
    })
  }

  /** Goes on where the last commit ends. */
  private open(input: string | undefined): Effect.Effect<DerivedStream, Failure, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const { storage, folder, id } = this.run
      const { processor } = this
      const { name } = processor
      const scope = yield* Effect.scope
      const writer = yield* DerivedJournal.writerId(storage, name, input)
      const known = this.found.get(writer)
      const found = known ?? { writer, segments: [], last: undefined, by: undefined, next: DerivedJournal.beginning }
      const { last } = found
      if (last !== undefined && pinned(last.processor, last.version, last.config) !== pinnedOf(processor)) {
        return yield* this.fail(
          `begun by ${last.processor} ${last.version} with another config (${JSON.stringify(last.config)}). Deliver it where that one is configured.`
        )
      }
      const state = last === undefined ? undefined : yield* DerivedJournal.readState(storage, folder, last)
      const fold = last !== undefined && state === undefined ? undefined : processor.begin(state)
      if (fold === undefined) {
        return yield* this.fail(
          `damaged: what it held is lost, and to begin anew would double what it gave. Remove its folder to derive it again.`
        )
      }
      const blob = last === undefined ? undefined : DerivedJournal.blobOf(last)
      const { next } = found
      const journal = new DerivedJournal.DerivedWriter({
        storage,
        runFolder: folder,
        run: id,
        name,
        writer,
        next,
        blob,
        scope
      })
      const merged = new MergedInput(this.run, processor.takes, last?.consumed ?? {}, scope)
      const stream = new DerivedStream(processor, found, input, fold, merged, journal, this.epoch)
      if (known !== undefined && this.epoch.isToBeSealed(known)) yield* stream.commit
      return stream
    })
  }

  private fail(what: string): Effect.Effect<never, DerivationError> {
    const { name } = this.processor
    const message = `The derived journal ${name} of run ${this.run.id} is ${what}`
    return Effect.fail(new DerivationError({ processor: name, message }))
  }

  private recover(cause: Cause.Cause<Failure>): Effect.Effect<void> {
    if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
    const error = Cause.squash(cause)
    const reason = error instanceof Error ? error.message : String(error)
    const isOf = (tag: Failure["_tag"]) => cause.reasons.some((one) => one._tag === "Fail" && one.error._tag === tag)
    const isHeld = isOf("DerivationError")
    const isNew = this.problem?.reason !== reason
    this.problem = { state: isHeld ? "held" : isOf("WrittenElsewhere") ? "elsewhere" : "waiting", reason }
    this.isCaughtUp = this.problem.state !== "waiting"
    this.wakeUp.closeUnsafe()
    return Effect.gen({ self: this }, function* () {
      if (isNew) yield* Effect.logWarning(`${this.processor.name}: ${reason}`)
      this.onCommit()
      yield* isHeld ? this.wakeUp.await : Effect.raceFirst(this.wakeUp.await, Effect.sleep(retryAfter))
    })
  }
}

const pinned = (id: string, version: string, config: unknown): string => JSON.stringify([id, version, config])
const pinnedOf = ({ id, version, config }: Configured): string => pinned(id, version, config)

/** The stateful processors of a run under delivery, as its lanes see them. */
export interface Derivations extends DerivedViews {
  readonly processors: ReadonlyArray<Configured>
  /** Why there is no more for now. */
  readonly problem: () => Problem | undefined
  /** All there is was derived and committed, or is held. */
  readonly isSettled: () => boolean
  readonly wake: () => void
  /** The event without the points that a processor takes in the place of the lanes. */
  readonly keep: (writer: string, event: RunEvent) => RunEvent | undefined
}

/** What is left of captured events of a writer where `processors` take points in in the place of the backends. */
export const keeping = (processors: ReadonlyArray<Configured>): Derivations["keep"] => {
  const isReplaced = (series: Parameters<Configured["takes"]>[0]) =>
    processors.some(({ captured, takes }) => captured === "replaced" && takes(series))
  const omit = selector((series) => !isReplaced(series))
  return (writer, event) => {
    if (event._tag !== "PointBatch" || DerivedJournal.isDerived(writer)) return event
    const kept = omit(event)
    return kept.count === 0 ? undefined : kept
  }
}

/** Derives in this scope, or takes over from the host that did where `takeOver` says so. `onCommit` is called when lanes should look. */
export const start = (
  run: RunJournal,
  processors: ReadonlyArray<Configured>,
  takeOver: boolean,
  onCommit: () => void
): Effect.Effect<Derivations, StorageError, Scope.Scope> =>
  Effect.gen(function* () {
    const configured = new Set(processors.map(({ name }) => name))
    const missing = (yield* DerivedJournal.names(run.storage, run.folder)).filter((name) => !configured.has(name))
    const epoch = processors.length === 0 ? undefined : yield* claim(run, takeOver)
    const derivations =
      epoch === undefined ? [] : processors.map((processor) => new Derivation(run, processor, epoch, onCommit))
    for (const derivation of derivations) yield* Effect.forkScoped(derivation.derive)
    const lacking: Problem | undefined =
      missing[0] === undefined
        ? undefined
        : {
            state: "held",
            reason: `Run ${run.id} has the derived journal ${missing[0]}, and this host has no such processor. Deliver it where that one is configured.`
          }
    return {
      processors,
      views: Effect.sync(() => derivations.flatMap(({ views }) => views)),
      isDone: (writers) => derivations.every((derivation) => derivation.isDone(writers)),
      problem: () => lacking ?? derivations.find(({ problem }) => problem !== undefined)?.problem,
      isSettled: () => derivations.every(({ isCaughtUp }) => isCaughtUp),
      wake: () => derivations.forEach((derivation) => derivation.wake()),
      keep: keeping(processors)
    }
  })
