/**
 * A writer in this process: the group writer with its lock, its clock and its policy for a full buffer. It lives as long as its scope.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { isJsonObject, type JsonObject } from "../JsonObject.ts"
import * as Name from "../Name.ts"
import { isStep } from "../Point.ts"
import type { JournalStorage, StorageError } from "../JournalStorage.ts"
import type { Payload } from "../RunEvent.ts"
import * as Series from "../Series.ts"
import { isSeriesContext, type SeriesContext } from "../SeriesContext.ts"
import { Blobs } from "./blobs.ts"
import { describeValue } from "./describeValue.ts"
import { GroupWriter, type SeriesEntry } from "./groupWriter.ts"
import type { Identity, Role } from "./segment.ts"

/** A group is written this long after its first event, or when it has this many bytes (J9.3). */
const groupDelay = Duration.millis(10)
const groupBytes = 64 * 1024

/** How often what was written is made safe from a power cut (J9.4). */
const syncEvery = Duration.seconds(1)

/** How long after a failed write the next one is tried. */
const retryAfter = Duration.seconds(1)

/** How often a writer says that it lives where its lock does not (J5.7). */
const heartbeatEvery = Duration.seconds(30)

/** Why what has a JSON form is refused. */
const tooLong = "it is longer than 64 MiB"

/** Why a context is refused. */
export const contextProblem = "the context is not an object of at most 16 texts, booleans or finite numbers"

/** Why a step is refused. */
export const stepProblem = "the step is not a whole number within ±(2^53 − 1)"

/** What `log` does when more waits than the buffer holds. */
export type OnFull = "block" | "fail" | "dropNewest"

/** Events that were not kept, for one reason. */
export interface Refused {
  readonly count: number
  /** What the first of them was, for people: `"loss"`. */
  readonly example: string
}

/** By reason, as text for people. */
export type Refusals = ReadonlyMap<string, Refused>

export interface JournalWriterOptions {
  readonly storage: JournalStorage["Service"]
  readonly runFolder: string
  readonly role: Role
  readonly identity: Identity
  readonly bufferBytes: number
  readonly salt: () => number
  /** Whether locks on the folder's file system can be trusted (J8.4). */
  readonly isLocal: boolean
}

export class JournalWriter {
  readonly id: string
  readonly blobs: Blobs
  private readonly group: GroupWriter
  private bufferBytes: number
  private readonly isLocal: boolean
  private readonly something = Latch.makeUnsafe(false)
  private readonly enough = Latch.makeUnsafe(false)
  /** Whether `something` is open: a look at a field is cheaper than a call. */
  private isAwake = false
  private readonly one = Semaphore.makeUnsafe(1)
  private readonly refused = new Map<string, Refused>()
  private readonly greatestSteps = new Map<string, number>()
  /** The last failure to write, until a write succeeds again. */
  failure: StorageError | undefined
  /** Somebody removed what this writer had written: what it writes from now on nobody finds. */
  private removed: StorageError | undefined

  constructor(options: JournalWriterOptions) {
    const { storage } = options
    this.blobs = new Blobs(storage, options.runFolder)
    this.id = options.identity.writer
    this.bufferBytes = options.bufferBytes
    this.isLocal = options.isLocal
    this.group = new GroupWriter({
      ...options,
      open: (path) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const file = yield* Effect.provideService(storage.openAppend(path), Scope.Scope, scope)
          return { ...file, close: Scope.close(scope, Exit.void) }
        })
    })
  }

  /** True when an event more has to wait for a commit, or is lost. */
  get isFull(): boolean {
    return this.group.pendingBytes >= this.bufferBytes
  }

  get refusals(): Refusals {
    return this.refused
  }

  /** Counts events that are not kept; `what` names the first of them: a name, or what was handed over in the place of one. */
  refuse(reason: string, what: unknown, count = 1): void {
    const known = this.refused.get(reason)
    this.refused.set(reason, { count: (known?.count ?? 0) + count, example: known?.example ?? describeValue(what) })
  }

  /** True when the run has ended: nothing more is kept, and `isFull` is true too. */
  get isClosed(): boolean {
    return this.bufferBytes < 0
  }

  /** Keeps nothing that is logged from now on. What waits is still to be committed. */
  close(): void {
    this.bufferBytes = -1
  }

  /**
   * One value of one series. Without a step it is one more than the greatest of its series, from 0 (J5.20). What does not fit the journal is
   * refused and counted.
   *
   * @param time - seconds since the Unix epoch
   */
  point(
    name: string,
    value: number | bigint | boolean | undefined,
    step: number | undefined,
    context: SeriesContext | undefined,
    time: number
  ): void {
    const { group } = this
    if (context !== undefined && !isJsonObject(context)) return this.refuse(contextProblem, name)
    const entry = group.series(name, context) ?? this.defined(name, context)
    if (entry === undefined) return
    const number = typeof value === "number" ? value : toNumber(value)
    if (number === undefined) return this.refuse("the value is not a number", name)
    const at = step ?? entry.greatestStep + 1
    if (!isStep(at)) return this.refuse(stepProblem, name)
    group.point(entry, at, number, time)
    this.wake()
  }

  /** Anything but a point, already checked. */
  event(event: Payload): void {
    if (!this.group.event(event)) this.refuse(tooLong, event._tag)
    this.wake()
  }

  /** Together or, where that is too much, each by itself: one that is too long takes no other with it. */
  params(time: number, params: JsonObject): void {
    if (!this.group.event({ _tag: "Params", time, params })) {
      for (const [key, value] of Object.entries(params)) {
        const fits = this.group.event({ _tag: "Params", time, params: Object.fromEntries([[key, value]]) })
        if (!fits) this.refuse(`param: ${tooLong}`, key)
      }
    }
    this.wake()
  }

  /** The step of a text or a medium: the one given, else one more than the greatest of its kind, name and context, from 0 (J5.20). */
  nextStep(kind: string, name: string, context: SeriesContext, step: number | undefined): number {
    const key = `${kind} ${Series.toKey({ name, context })}`
    const greatest = this.greatestSteps.get(key) ?? -1
    const at = step ?? greatest + 1
    if (at > greatest) this.greatestSteps.set(key, at)
    return at
  }

  /** Events that are not in the journal: what could not be written and, where that was removed, what was. */
  get missing(): number {
    return this.group.waitingEvents + (this.removed === undefined ? 0 : this.group.writtenEvents)
  }

  /** Writes what waits. Fails when the platform does; nothing is forgotten then. */
  get commit(): Effect.Effect<void, StorageError> {
    return this.one.withPermit(
      Effect.suspend(() => {
        if (this.removed !== undefined) return Effect.fail(this.removed)
        this.isAwake = false
        this.something.closeUnsafe()
        this.enough.closeUnsafe()
        return this.group.commit
      }).pipe(
        Effect.tap(() => Effect.sync(() => void (this.failure = undefined))),
        Effect.tapError((error) => Effect.sync(() => void (this.failure = error)))
      )
    )
  }

  /** Returns when everything logged so far survives a power cut. */
  get flush(): Effect.Effect<void, StorageError> {
    return Effect.andThen(
      this.commit,
      Effect.suspend(() => {
        this.group.touch()
        return this.sync
      })
    )
  }

  private get sync(): Effect.Effect<void, StorageError> {
    return this.one.withPermit(
      Effect.tapError(this.group.sync, (error) =>
        Effect.sync(() => {
          if (error.code === "ENOENT") this.failure = this.removed = error
        })
      )
    )
  }

  /** Commits groups, and syncs every second, until interrupted. */
  get run(): Effect.Effect<never> {
    const groups = this.something.await.pipe(
      Effect.andThen(Effect.raceFirst(Effect.sleep(groupDelay), this.enough.await)),
      Effect.andThen(this.commit),
      Effect.matchEffect({
        onFailure: (error) => Effect.andThen(this.warn(error), Effect.sleep(retryAfter)),
        onSuccess: () => Effect.sync(() => void (this.isWarned = false))
      }),
      Effect.forever
    )
    const syncs = Effect.ignore(this.sync).pipe(Effect.repeat(Schedule.spaced(syncEvery)), Effect.andThen(Effect.never))
    const heartbeats = Effect.flatMap(now, (time) => Effect.sync(() => this.event({ _tag: "Heartbeat", time }))).pipe(
      Effect.repeat(Schedule.spaced(heartbeatEvery)),
      Effect.andThen(Effect.never)
    )
    return Effect.raceAllFirst([groups, syncs, this.isLocal ? Effect.never : heartbeats])
  }

  /** Said once, until a write succeeds again. */
  private isWarned = false

  private warn(error: StorageError): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.wake()
      if (this.isWarned) return Effect.void
      this.isWarned = true
      return Effect.logWarning(`tracelet cannot write its journal, and tries again: ${error.message}`)
    })
  }

  private wake(): void {
    if (!this.isAwake) {
      this.isAwake = true
      this.something.openUnsafe()
    }
    if (this.group.pendingBytes >= groupBytes) this.enough.openUnsafe()
  }

  private defined(name: string, context: SeriesContext | undefined): SeriesEntry | undefined {
    const problem = Name.problem(name)
    if (problem !== undefined) {
      this.refuse(problem, name)
      return undefined
    }
    if (context !== undefined && !isSeriesContext(context)) {
      this.refuse(contextProblem, name)
      return undefined
    }
    return this.group.define(name, context ?? {})
  }
}

/** A value that is no float64 yet, or `undefined` when it is no number that has one (J5.21). */
const toNumber = (value: unknown): number | undefined => {
  if (typeof value === "boolean") return value ? 1 : 0
  if (typeof value !== "bigint") return undefined
  const nearest = Number(value)
  return Number.isFinite(nearest) ? nearest : undefined
}

/** Seconds since the Unix epoch, of the fiber's clock. */
export const now: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1000)
