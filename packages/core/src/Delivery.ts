/**
 * A lane delivers one run to one backend: it reads the journal from the backend's mark on, routes, processes, writes, and moves the mark
 * behind what the backend has confirmed. One set of rules for all backends: retry, bisecting, dead letter, cursor.
 *
 * A lane has no queue but the journal: it holds the batch in flight and nothing else, so a backend that hangs costs the others
 * nothing and a lane that is held costs no memory (docs/adr/0002).
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import type { Backend, BackendRun, Batch } from "./Backend.ts"
import { held, transient, type BackendError } from "./BackendError.ts"
import type { State } from "./BackendStanding.ts"
import { CircuitBreaker, waitAfter, type Pause } from "./CircuitBreaker.ts"
import * as Cursor from "./Cursor.ts"
import * as DeadLetter from "./DeadLetter.ts"
import type { Derivations } from "./Derivation.ts"
import type { StorageError } from "./JournalStorage.ts"
import type { Processor } from "./Processor.ts"
import type { Route } from "./Route.ts"
import { countOf, kindOf, type RunEvent, type RunStarted } from "./RunEvent.ts"
import type { Reader, RunJournal } from "./RunJournal.ts"
import { countEvents, cut, restOf } from "./internal/places.ts"
import { check, claim, type Authority } from "./internal/authority.ts"
import { LaneLetters } from "./internal/laneLetters.ts"
import { LaneTelemetry } from "./internal/laneTelemetry.ts"
import { lend, type Holder } from "./internal/lent.ts"

export interface LaneStatus {
  readonly state: State
  readonly reason?: string
  /** What of the run could not be read, once the lane has closed it. */
  readonly losses?: Cursor.Losses
  readonly counts: Cursor.Counts
  readonly marks: Cursor.Marks
}

/** A backend as a lane uses it. */
export interface Target {
  readonly backend: Backend["Service"]
  readonly route: Route | undefined
  readonly processors: ReadonlyArray<Processor>
  /** Shared by the lanes of this backend; first come, first served. */
  readonly permits: Semaphore.Semaphore
  /** Variables that its credentials come from, to be named where the service refuses them. */
  readonly credentials?: ReadonlyArray<string>
  /** Shared by them too. Default: one of each lane's own. */
  readonly breaker?: CircuitBreaker
}

/** How long a lane with nothing to do waits before it looks again: doubled each time up to the longest. */
const pollShortest = Duration.millis(10)
const pollLongest = Duration.seconds(1)

/** A cursor file that lags behind is written when nothing came for this long. */
const saveAfterQuiet = Duration.millis(100)

/** Cursor files are synced, and those of backends that keep the marks themselves written, at most this often. */
const cursorEvery = Duration.seconds(1)

type LaneError = BackendError | StorageError

export class Lane {
  readonly name: string
  private readonly run: RunJournal
  private readonly started: RunStarted
  private readonly target: Target
  private readonly derivations: Derivations
  private readonly breaker: CircuitBreaker
  private readonly wakeUp = Latch.makeUnsafe(false)
  private cursor: Cursor.Cursor
  private marks = new Map<string, Cursor.Mark>()
  private state: State = "idle"
  private reason: string | undefined
  private savedAt = Number.NEGATIVE_INFINITY
  /** True when the cursor file lags behind the cursor. */
  private isUnsaved = false
  /** Failures in a row. */
  private failures = 0
  /** True when the last look found nothing more to send. */
  private isCaughtUp = false
  private readonly letters: LaneLetters
  /** The shortest beginning of what is to be sent next that is known to be refused as a whole. */
  private refused:
    | (Pick<Batch, "writer" | "from"> & { readonly count: number; readonly error: BackendError })
    | undefined
  private readonly takeOver: boolean
  private readonly telemetry: LaneTelemetry
  private authority: Authority = "locks"
  /** That of this lane, once it has one: a greater one is another host's. */
  private epoch: number | undefined

  constructor(
    name: string,
    run: RunJournal,
    started: RunStarted,
    target: Target,
    derivations: Derivations,
    takeOver: boolean
  ) {
    this.takeOver = takeOver
    this.name = name
    this.run = run
    this.started = started
    this.target = target
    this.breaker = target.breaker ?? new CircuitBreaker()
    this.derivations = derivations
    this.telemetry = new LaneTelemetry(name, started)
    this.letters = new LaneLetters(run, name)
    this.cursor = {
      version: 1,
      run: run.id,
      backend: name,
      epoch: 0,
      pin: pinOf(target, derivations),
      remote: null,
      writers: {},
      counts: Cursor.noCounts,
      intents: [],
      closed: false
    }
  }

  get status(): LaneStatus {
    const { state, marks } = this
    const { counts, losses } = this.cursor
    const reason = this.reason ?? Cursor.uncertainty(this.cursor)
    return {
      state,
      counts,
      marks,
      ...(reason === undefined ? {} : { reason }),
      ...(losses === undefined ? {} : { losses })
    }
  }

  /** True when nothing more is sent unless something is logged, or somebody acts. */
  get isSettled(): boolean {
    return this.state === "held" || (this.isCaughtUp && (this.state === "idle" || this.state === "done"))
  }

  /** Look now: something was logged, a writer ended, or a held lane may try again. */
  wake(): void {
    this.isCaughtUp = false
    if (this.state === "held") this.breaker.retry()
    this.wakeUp.openUnsafe()
  }

  /** Delivers until the run is over and closed at the backend; then waits for late writers. Never fails. */
  get deliver(): Effect.Effect<never> {
    return this.session.pipe(
      Effect.scoped,
      Effect.catchCause((cause) => this.recover(cause)),
      Effect.forever,
      this.telemetry.observed
    )
  }

  /** Says how far it lags behind; `pending` counts what lies behind the marks of a status. */
  lag<E>(pending: (status: LaneStatus) => Effect.Effect<number, E>): Effect.Effect<void, E> {
    const { status } = this
    if (this.isCaughtUp && status.state !== "held") return this.telemetry.caughtUp
    return Effect.flatMap(pending(status), (events) => this.telemetry.behind(Cursor.passed(status.counts), events))
  }

  /** From `open` to the end of the run, or to the first failure. */
  private get session(): Effect.Effect<void, LaneError, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const opened = yield* this.asking(this.telemetry.open(this.open, this.failures), false)
      yield* this.asking(this.resend(opened), false)
      const { limits } = this.target.backend.capabilities
      const reader = yield* this.run.reader(this.marks, limits, this.derivations)
      yield* Effect.addFinalizer(() => (this.isUnsaved ? Effect.ignore(this.save({ sync: false })) : Effect.void))
      let pause = pollShortest
      for (;;) {
        this.wakeUp.closeUnsafe()
        const batch = yield* reader.next
        if (batch !== undefined) {
          this.isCaughtUp = false
          yield* this.telemetry.taken(Cursor.passed(this.cursor.counts), batch.events)
          yield* this.deliverBatch(opened, this.prepare(batch))
          pause = pollShortest
          continue
        }
        if (reader.isDrained()) {
          yield* this.close(opened, reader)
          this.settle("done")
          yield* this.telemetry.caughtUp
          // A late writer's first file wakes nobody: look for it at the slowest pace.
          yield* this.untilWoken(pollLongest)
          continue
        }
        this.settle("idle")
        yield* this.telemetry.caughtUp
        // What is left to derive does not come: the lane says why in the place of whoever derives.
        const problem = this.derivations.problem()
        if (problem !== undefined) {
          this.state = problem.state === "elsewhere" ? "held" : problem.state
          this.reason = problem.reason
        }
        // Quiet for a while: whoever reads the file sees what was confirmed.
        if (this.isUnsaved && Duration.isGreaterThan(pause, saveAfterQuiet)) yield* this.save({ sync: false })
        yield* this.untilWoken(pause)
        pause = Duration.min(Duration.times(pause, 2), pollLongest)
      }
    })
  }

  private settle(state: "idle" | "done"): void {
    this.state = state
    this.isCaughtUp = true
    this.reason = undefined
    this.failures = 0
  }

  private untilWoken(longest: Duration.Duration): Effect.Effect<void> {
    return Effect.raceFirst(this.wakeUp.await, Effect.sleep(longest))
  }

  // ---- open and close ----

  private get open(): Effect.Effect<BackendRun, LaneError, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const { backend } = this.target
      const known = yield* this.run.cursor(this.name)
      // Left by a power cut, since cursors are not synced each time. Where a resend is harmless the run is sent again from its start.
      const { identity } = backend.capabilities
      if (known === "damaged" && identity !== "position" && identity !== "point") {
        return yield* held(
          this.name,
          `The cursor of ${this.name} for run ${this.run.id} is damaged. Nothing is sent, since it could double what was.`
        )
      }
      if (known !== undefined && known !== "damaged") {
        this.cursor = known
        // A lane that is held below says how much is before it all the same.
        this.marks = new Map(Object.entries(known.writers))
        const pinned = JSON.stringify(known.pin)
        if (pinned !== JSON.stringify(pinOf(this.target, this.derivations))) {
          return yield* held(
            this.name,
            `Run ${this.run.id} was begun with another route or other processors (${pinned}). Deliver it where those are configured.`
          )
        }
      }
      const problem = this.derivations.problem()
      if (problem?.state === "held") return yield* held(this.name, problem.reason)
      if (this.epoch !== undefined) yield* check(this.name, this.run, this.epoch)
      const { cursor, takeOver, name } = this
      const claimed = yield* claim({ name, run: this.run, cursor, identity, takeOver })
      this.cursor = claimed.cursor
      this.authority = claimed.authority
      if (claimed.authority === "own") this.epoch = claimed.cursor.epoch
      const { run, time } = this.started
      const opened = yield* backend.open({
        ...lend(this.name, this.run, this.holder),
        run,
        startedAt: time,
        started: this.started,
        remote: this.cursor.remote
      })
      if (opened.confirmed === undefined) {
        this.marks = new Map(Object.entries(this.cursor.writers))
        const settled = yield* this.letters.settled
        // With a cursor that is lost all is sent again, and counted by what becomes of it now.
        if (typeof known === "object") this.cursor = DeadLetter.settle(this.cursor, settled)
        else if (settled.delivered + settled.dropped > 0) this.cursor = { ...this.cursor, settled }
      } else {
        const confirmed = yield* opened.confirmed
        this.marks = new Map(confirmed.marks)
        this.cursor = { ...this.cursor, counts: confirmed.counts, closed: confirmed.closed }
      }
      this.telemetry.resumed(Cursor.passed(this.cursor.counts))
      const isNamed = this.cursor.remote !== opened.remote
      const isSettled = this.cursor.settled !== claimed.cursor.settled
      this.cursor = { ...this.cursor, remote: opened.remote }
      // On the disk before anything is sent: from then on a cursor that is missing means that nothing was. And whoever goes on has to know
      // what is to be derived.
      const isPinned = identity !== "position" || this.derivations.processors.length > 0
      if ((known === undefined && isPinned) || isNamed || isSettled) yield* this.save({ sync: true })
      return opened
    })
  }

  private get holder(): Holder {
    return {
      intents: () => this.cursor.intents,
      setIntents: (intents) => void (this.cursor = { ...this.cursor, intents }),
      save: Effect.suspend(() => this.save({ sync: true }))
    }
  }

  private close(opened: BackendRun, reader: Reader): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      if (this.cursor.closed) return
      yield* this.countLosses(reader)
      const { status, endedAt } = yield* this.run.standing(yield* this.run.writers)
      yield* this.fence
      const closed = opened.close({ status, endedAt: endedAt ?? this.started.time })
      yield* this.asking(this.telemetry.close(closed, status, this.failures))
      this.cursor = { ...this.cursor, closed: true }
      yield* this.save({ sync: true })
    })
  }

  /** Asked before each send where another host may have taken over unseen (J7.4). */
  private get fence(): Effect.Effect<void, LaneError> {
    return this.epoch === undefined ? Effect.void : check(this.name, this.run, this.epoch)
  }

  /** What could not be read is said and kept with the cursor. Counted over the whole run, since a lane that began in its middle saw only a part. */
  private countLosses(reader: Reader): Effect.Effect<void, StorageError> {
    const { gapBytes, unknown, damaged } = reader.losses()
    if (gapBytes + unknown + damaged === 0 && this.cursor.losses === undefined) return Effect.void
    return Effect.flatMap(this.run.countFrom(new Map()), ({ losses }) => {
      this.cursor = { ...this.cursor, losses }
      return Effect.logWarning(
        `${this.name}: of the journals of run ${this.run.id} ${losses.gapBytes} bytes could not be read, ` +
          `${losses.damaged} records were damaged and ${losses.unknown} of a kind this version does not know.`
      )
    })
  }

  // ---- one batch ----

  /** What the route and the processors leave of a batch, and what the backend can take. */
  private prepare(batch: Batch): Batch {
    const { route, processors, backend } = this.target
    const events: Array<RunEvent> = []
    let filtered = 0
    for (const event of batch.events) {
      const kind = kindOf(event)
      // Start, end and heartbeats reach a backend by `open` and `close`.
      if (kind === undefined) continue
      const isWanted = backend.capabilities.kinds.has(kind) && (route === undefined || route.accepts(event))
      let processed = isWanted ? this.derivations.keep(batch.writer, event) : undefined
      for (const processor of processors) processed = processed === undefined ? undefined : processor.apply(processed)
      filtered += countOf(event) - (processed === undefined ? 0 : countOf(processed))
      if (processed !== undefined) events.push(processed)
    }
    return { ...batch, events, filtered }
  }

  private deliverBatch(opened: BackendRun, batch: Batch): Effect.Effect<void, LaneError> {
    // A backend that keeps the marks itself has to hear of them; another has no use for a batch of nothing.
    return batch.events.length === 0 && opened.confirmed === undefined
      ? this.advance(batch, batch.to, 0, 0, batch.filtered)
      : Effect.asVoid(
          this.asking(
            Effect.suspend(() => {
              this.state = "delivering"
              return this.sendKnowing(opened, batch)
            })
          )
        )
  }

  /** Without sending again what is known to be refused: a network that fails now and then would never let a bisection come to its end. */
  private sendKnowing(opened: BackendRun, batch: Batch): Effect.Effect<boolean, LaneError> {
    const { refused } = this
    const total = countEvents(batch.events)
    const isKnown =
      refused !== undefined &&
      refused.writer === batch.writer &&
      refused.from.position === batch.from.position &&
      refused.from.index === batch.from.index &&
      refused.count <= total
    if (!isKnown) return this.send(opened, batch)
    if (refused.count === total) return this.bisect(opened, batch, refused.error)
    const [first, second] = cut(batch, refused.count)
    return Effect.andThen(this.bisect(opened, first, refused.error), this.send(opened, second))
  }

  /** When it is this lane's turn to ask the backend; until then the status says why it is not. */
  private asking<A, R>(call: Effect.Effect<A, LaneError, R>, isProof = true): Effect.Effect<A, LaneError, R> {
    const onPause = ({ reason, state }: Pause) => {
      this.state = state
      // What is held by the breaker is a login.
      this.reason = state === "held" ? withVariables(reason, this.target.credentials ?? []) : reason
    }
    return this.breaker.guard(call, { permits: this.target.permits, isProof, onPause })
  }

  /**
   * Until all of the batch is accepted or in the dead letter; true when all of it was accepted. Fails when the session has to begin anew.
   */
  private send(opened: BackendRun, batch: Batch): Effect.Effect<boolean, LaneError> {
    return Effect.gen({ self: this }, function* () {
      yield* this.fence
      const report = yield* this.telemetry.write(opened.write(batch), batch, this.failures).pipe(
        Effect.map((written) => ({ ...written, poison: undefined })),
        Effect.catch((error) =>
          error.reason._tag === "Poison"
            ? Effect.succeed({ rejected: [], retryFrom: undefined, poison: error })
            : Effect.fail(error)
        )
      )
      if (report.poison !== undefined) return yield* this.bisect(opened, batch, report.poison)
      if (report.rejected.length > 0) yield* this.letters.put(batch, report.rejected, this.marks)
      const rest = report.retryFrom === undefined ? undefined : restOf(batch, report.retryFrom)
      const taken = countEvents(batch.events) - (rest === undefined ? 0 : countEvents(rest.events))
      yield* this.advance(
        batch,
        rest?.from ?? batch.to,
        taken,
        report.rejected.length,
        rest === undefined ? batch.filtered : 0
      )
      if (rest === undefined) return report.rejected.length === 0
      if (taken === 0)
        return yield* transient(
          this.name,
          `${this.name} took nothing of a batch of ${countEvents(batch.events)} events.`
        )
      return yield* this.send(opened, rest)
    })
  }

  /** Halves a batch that was refused as a whole until the event that is refused stands alone: that one goes to the dead letter. */
  private bisect(opened: BackendRun, batch: Batch, error: BackendError): Effect.Effect<false, LaneError> {
    const total = countEvents(batch.events)
    if (total <= 1) {
      const culprit = batch.events.findIndex((event) => countOf(event) > 0)
      // A backend that keeps the marks itself has to pass the culprit too, or a restart would bring it up again.
      const tell =
        opened.confirmed === undefined ? Effect.void : opened.write({ ...batch, events: [], rejected: total })
      return this.letters
        .put(batch, [{ event: culprit, index: 0, reason: error.message }], this.marks)
        .pipe(
          Effect.andThen(tell),
          Effect.andThen(this.advance(batch, batch.to, total, total, batch.filtered)),
          Effect.as(false as const)
        )
    }
    this.refused = { writer: batch.writer, from: batch.from, count: total, error }
    const [first, second] = cut(batch, Math.floor(total / 2))
    return this.send(opened, first).pipe(
      // With nothing wrong in the first half the second would be refused as the whole was: it is halved without being sent. What goes to
      // the dead letter was sent alone.
      Effect.flatMap((isClean) =>
        isClean && countEvents(second.events) > 1 ? this.bisect(opened, second, error) : this.send(opened, second)
      ),
      Effect.as(false as const)
    )
  }

  /** Moves the mark, and keeps the cursor. */
  private advance(
    batch: Batch,
    to: Cursor.Mark,
    taken: number,
    rejected: number,
    filtered: number
  ): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      this.marks.set(batch.writer, to)
      this.failures = 0
      this.reason = undefined
      const counts = Cursor.addCounts(this.cursor.counts, { delivered: taken - rejected, rejected, filtered })
      this.cursor = { ...this.cursor, counts, closed: false }
      this.isUnsaved = true
      yield* this.telemetry.confirmed(taken - rejected, rejected)
      const now = yield* Clock.currentTimeMillis
      const isDue = now - this.savedAt >= Duration.toMillis(cursorEvery)
      if (this.target.backend.capabilities.identity === "position" && !isDue) return
      yield* this.save({ sync: isDue })
      if (isDue) this.savedAt = now
    })
  }

  private save(options: { readonly sync: boolean }): Effect.Effect<void, StorageError> {
    this.cursor = { ...this.cursor, writers: Object.fromEntries(this.marks) }
    this.isUnsaved = false
    if (this.authority === "aside") return Effect.void
    return Effect.onError(this.run.saveCursor(this.cursor, options), () =>
      Effect.sync(() => void (this.isUnsaved = true))
    )
  }

  // ---- the dead letter ----

  /**
   * What is to be sent again by a user's wish: each event alone, and once. It lies before the marks, which stay as they are. A backend that keeps
   * the marks itself has no way to take it.
   */
  private resend(opened: BackendRun): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      if (opened.confirmed !== undefined || this.authority === "aside") return
      for (;;) {
        const letter = yield* this.letters.next
        if (letter === undefined) return
        this.state = "delivering"
        const refusal = yield* this.sendAgain(opened, letter)
        yield* this.letters.answer(letter, refusal)
        this.cursor = DeadLetter.settle({ ...this.cursor, closed: false }, yield* this.letters.settled)
        yield* this.save({ sync: true })
      }
    })
  }

  /** Why it is refused again; `undefined` when it is not. */
  private sendAgain(opened: BackendRun, letter: DeadLetter.LetterId): Effect.Effect<string | undefined, LaneError> {
    return Effect.gen({ self: this }, function* () {
      const found = yield* DeadLetter.eventOf(this.run, letter)
      if (found === undefined) return "The journal does not have this event any more."
      const batch = { ...this.prepare(found), filtered: 0 }
      if (batch.events.length === 0) return "What delivers the run now leaves this event out."
      yield* this.fence
      const report = yield* this.telemetry.write(opened.write(batch), batch, this.failures).pipe(
        Effect.catchIf(
          ({ reason }) => reason._tag === "Poison",
          ({ message }) => Effect.succeed({ rejected: [{ reason: message }], retryFrom: undefined })
        )
      )
      if (report.retryFrom === undefined) return report.rejected[0]?.reason
      return yield* transient(this.name, `${this.name} took nothing of what was to be sent again.`)
    })
  }

  // ---- failures ----

  /** Waits as the failure asks, says so in the status, and lets the next session begin. */
  private recover(cause: Cause.Cause<LaneError>): Effect.Effect<void> {
    const interrupted = Cause.hasInterruptsOnly(cause)
    if (interrupted) return Effect.interrupt
    const error = Cause.squash(cause)
    const failed = cause.reasons.find((reason) => reason._tag === "Fail")?.error
    this.reason = error instanceof Error ? error.message : String(error)
    this.failures++
    this.isCaughtUp = false
    const reason = failed?._tag === "BackendError" ? failed.reason._tag : undefined
    if (reason === "Unauthorised") this.reason = withVariables(this.reason, this.target.credentials ?? [])
    if (reason === "Held") {
      this.state = "held"
      this.wakeUp.closeUnsafe()
      return Effect.andThen(Effect.logWarning(`${this.name}: ${this.reason}`), this.wakeUp.await)
    }
    this.state = "waiting"
    return Effect.gen({ self: this }, function* () {
      if (this.failures === 1) {
        const said = (this.reason ?? "").replace(/\.$/, "")
        const next = reason === "Unauthorised" ? "A login is tried once more" : "It is tried again by itself"
        yield* Effect.logWarning(`${this.name}: ${said}. ${next}.`)
      }
      this.wakeUp.closeUnsafe()
      // Where a service asked to wait, or refused a login, the breaker sees to it, for all lanes.
      if (reason === "Throttled" || reason === "Unauthorised") return
      yield* this.untilWoken(yield* waitAfter(this.failures))
    })
  }
}

/** A lane under way in this scope. */
export const start = (
  name: string,
  run: RunJournal,
  started: RunStarted,
  target: Target,
  derivations: Derivations,
  takeOver = false
): Effect.Effect<Lane, never, Scope.Scope> => {
  const lane = new Lane(name, run, started, target, derivations, takeOver)
  return Effect.as(Effect.forkScoped(lane.deliver), lane)
}

const pinOf = ({ route, processors }: Target, derivations: Derivations): Cursor.Pin => ({
  route: route?.pinned ?? null,
  processors: [
    ...processors.map(({ id, version, config }) => ({ id, version, config })),
    ...derivations.processors.map(({ id, version, config, name }) => ({ id, version, config, derived: name }))
  ]
})

/** What was refused, and where credentials come from, unless that is said. */
const withVariables = (reason: string, variables: ReadonlyArray<string>): string =>
  variables.length === 0 || variables.some((name) => reason.includes(name))
    ? reason
    : `${reason.replace(/\.$/, "")}. Its credentials come from ${variables.join(", ")}: set them where the run is delivered, then "tracelet sync".`

/** A backend whose layer could not be built, as a lane shows it. */
export const failedStatus = (state: "missing" | "error" | "held", reason: string): LaneStatus => ({
  state,
  reason,
  counts: Cursor.noCounts,
  marks: new Map()
})
