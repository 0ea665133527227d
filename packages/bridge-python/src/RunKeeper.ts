/**
 * The runs that the agent delivers: takes what is free, lets go of what is done, and answers for both. Each run has a scope of its own
 * with its lock, its lanes and its files; what goes wrong in one stays there.
 */
import type { BackendStanding } from "@tracelet/core/BackendStanding"
import { Journal } from "@tracelet/core/Journal"
import type { StorageError } from "@tracelet/core/JournalStorage"
import * as Pipeline from "@tracelet/core/Pipeline"
import { isOpen, RunId } from "@tracelet/core/Run"
import type { RunStarted } from "@tracelet/core/RunEvent"
import type { RunJournal, Writer } from "@tracelet/core/RunJournal"
import type { Configured } from "@tracelet/core/StatefulProcessor"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { RunView } from "./AgentApi.ts"
import { RunFinder, type Verdict } from "./RunFinder.ts"
import type { RunSecrets, Secrets } from "./Secrets.ts"
import { SegmentSync } from "./SegmentSync.ts"

/** Builds the targets of a run: what a composition root knows and this package does not. */
export type TargetsOf = (
  started: RunStarted,
  options: { readonly secrets?: RunSecrets }
) => Effect.Effect<Pipeline.Targets, never, Scope.Scope>

/** Builds the stateful processors that a run was begun with, as far as they are known. */
export type ProcessorsOf = (run: RunJournal) => Effect.Effect<ReadonlyArray<Configured>, StorageError>

/** What a composition root gives. */
export interface Wiring {
  readonly targetsOf: TargetsOf
  readonly processorsOf: ProcessorsOf
}

/** Runs delivered at once; each has a few files open. More of them wait. */
export const runsMax = 1_024

/** Views of runs that are done, for trainers that ask once more. */
const viewsMax = 256

/**
 * A run is let go this long after it was found done: longer than its lanes take to look again, so that a writer that came and went
 * meanwhile is theirs to deliver.
 */
const lingerMs = 1_500

/** How often what a run's writers wrote is made safe (J9.4). */
const syncEveryMs = 1_000

interface Held {
  readonly run: RunJournal
  readonly delivery: Pipeline.RunDelivery
  readonly scope: Scope.Closeable
  readonly segments: SegmentSync
  /** Ids of its writers when it was first seen done with these and no others. */
  done: { readonly writers: string; readonly since: number } | undefined
  syncedAt: number
  isSyncing: boolean
  /** It was said in the log that it cannot be looked at. */
  isBroken: boolean
}

export class RunKeeper {
  private readonly journal: Journal["Service"]
  private readonly wiring: Wiring
  private readonly secrets: Secrets
  private readonly scope: Scope.Scope
  private readonly held = new Map<RunId, Held>()
  private readonly views = new Map<RunId, RunView>()
  /** Runs that others deliver, and whose writers live. */
  private readonly elsewhere = new Set<RunId>()
  /** Being taken or let go: one at a time for each run. */
  private readonly changing = new Map<RunId, { readonly one: Semaphore.Semaphore; users: number }>()
  private isAlive = false
  readonly finder: RunFinder

  /** The scope is the agent's: when it closes, all runs are let go as they are. `onDone` is the finder's. */
  constructor(
    journal: Journal["Service"],
    wiring: Wiring,
    secrets: Secrets,
    scope: Scope.Scope,
    onDone?: (run: RunId) => Effect.Effect<void>
  ) {
    this.journal = journal
    this.wiring = wiring
    this.secrets = secrets
    this.scope = scope
    this.finder = new RunFinder(journal, () => this.isAlive, onDone)
  }

  /** Writers live (as `tend` last found it), or something that can be delivered is not. */
  get isBusy(): boolean {
    return this.isAlive || !this.finder.hasLooked || this.isWorking
  }

  /** Something that can be delivered is not. */
  get isWorking(): boolean {
    return [...this.held.values()].some(({ delivery }) => !delivery.isSettled())
  }

  /** How many runs are held. */
  get size(): number {
    return this.held.size
  }

  /** Begins to deliver a run that the finder gave, or that was claimed there. Never fails. */
  take(id: RunId): Effect.Effect<void> {
    return this.alone(
      id,
      Effect.gen({ self: this }, function* () {
        if (this.held.has(id)) return
        const scope = yield* Scope.fork(this.scope)
        const verdict = yield* this.deliver(id, scope).pipe(
          Scope.provide(scope),
          Effect.catchCause((cause) =>
            Effect.as(Effect.logError(`Run ${id} cannot be delivered now; it is tried again.`, cause), later)
          )
        )
        if (verdict === undefined) return
        yield* Scope.close(scope, Exit.void)
        yield* this.finder.release(id, verdict)
      })
    )
  }

  /** `undefined` when it is now held. */
  private deliver(id: RunId, scope: Scope.Closeable): Effect.Effect<Verdict | undefined, StorageError, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      if (this.held.size >= runsMax) return later
      const run = yield* this.journal.open(id)
      const started = yield* run.started
      if (started === undefined || (yield* this.isForeign(run))) return later
      const secrets = this.secrets.of(id)
      const targets = yield* this.wiring.targetsOf(started, secrets === undefined ? {} : { secrets })
      const delivery = yield* Pipeline.deliver(run, started, targets, yield* this.wiring.processorsOf(run))
      if (delivery === undefined) {
        if (isAnyAlive(yield* run.writersNow)) this.elsewhere.add(id)
        else this.elsewhere.delete(id)
        return later
      }
      this.elsewhere.delete(id)
      this.views.delete(id)
      const segments = new SegmentSync(this.journal.storage.join(this.journal.folder, "runs", id, "journal"))
      this.held.set(id, {
        run,
        delivery,
        scope,
        segments,
        done: undefined,
        syncedAt: 0,
        isSyncing: false,
        isBroken: false
      })
      for (const [name, target] of targets) {
        if ("reason" in target) yield* Effect.logWarning(`Run ${id}, backend ${name}: ${target.reason}`)
      }
      return undefined
    })
  }

  /** On a file system whose locks are half true only this boot's writers can be told alive (design: who delivers). */
  private isForeign(run: RunJournal): Effect.Effect<boolean, StorageError> {
    const { folder, storage } = this.journal
    return Effect.flatMap(storage.isLocal(folder), (isLocal) =>
      isLocal
        ? Effect.succeed(false)
        : Effect.map(run.writers, (writers) => writers.some(({ identity }) => identity.boot !== storage.host.boot))
    )
  }

  /** Lets go of what is done, and finds out whether writers live. Call it a few times a second. Never fails. */
  get tend(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (const id of this.elsewhere) if (!this.finder.knows(id)) this.elsewhere.delete(id)
      let isAlive = this.elsewhere.size > 0
      for (const [id, held] of this.held) {
        const alive = yield* Effect.catchCause(this.tendOne(id, held), (cause) => {
          if (held.isBroken) return Effect.succeed(false)
          held.isBroken = true
          return Effect.as(Effect.logError(`Run ${id} cannot be looked at.`, cause), false)
        })
        isAlive ||= alive
      }
      this.isAlive = isAlive
    })
  }

  private tendOne(id: RunId, held: Held): Effect.Effect<boolean, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      const writers = yield* held.run.writers
      yield* this.sync(held, writers, now)
      const alive = isAnyAlive(writers)
      if (writers.length === 0) {
        yield* Effect.logWarning(`The journal of run ${id} is gone.`)
        yield* this.drop(id, held, later)
        return false
      }
      if (alive || !held.delivery.isDone()) {
        held.done = undefined
        return alive
      }
      const ids = writers.map((writer) => writer.id)
      if (held.done?.writers !== ids.join()) {
        held.done = { writers: ids.join(), since: now }
        yield* Effect.forkIn(held.delivery.wake, this.scope)
      } else if (now - held.done.since >= lingerMs) {
        yield* this.letGo(id, held, { _tag: "done", writers: ids })
      }
      return false
    })
  }

  /** Beside everything else: it waits for the disk. What a writer that was killed left unused is given back with it. */
  private sync(held: Held, writers: ReadonlyArray<Writer>, now: number): Effect.Effect<void> {
    if (held.isSyncing || now - held.syncedAt < syncEveryMs) return Effect.void
    held.syncedAt = now
    held.isSyncing = true
    return Effect.asVoid(
      Effect.forkIn(
        Effect.ensuring(
          Effect.andThen(
            held.segments.sync(writers),
            Effect.catch(held.run.giveBack(writers), ({ message }) => Effect.logWarning(message))
          ),
          Effect.sync(() => void (held.isSyncing = false))
        ),
        held.scope
      )
    )
  }

  private letGo(id: RunId, held: Held, verdict: Verdict): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const view = yield* this.view(id, held.delivery)
      this.views.set(id, view)
      for (const oldest of this.views.keys()) {
        if (this.views.size <= viewsMax) break
        this.views.delete(oldest)
      }
      yield* this.drop(id, held, verdict)
    })
  }

  private drop(id: RunId, held: Held, verdict: Verdict): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      this.held.delete(id)
      yield* Scope.close(held.scope, Exit.void)
      this.secrets.forget(id)
      yield* this.finder.release(id, verdict)
    })
  }

  /** Looks at a run now, with secrets where they are given; `undefined` when there is no such run. */
  announce(
    id: RunId,
    secrets: { readonly [backend: string]: { readonly [key: string]: string } } | undefined
  ): Effect.Effect<RunView | undefined, StorageError> {
    return Effect.gen({ self: this }, function* () {
      if (!(yield* this.journal.runs).includes(id)) return undefined
      const isNew = secrets !== undefined && this.secrets.add(id, secrets)
      // A backend keeps what it was built with: with new secrets it is built anew.
      if (isNew) yield* this.restart(id)
      const held = this.held.get(id)
      if (held !== undefined) {
        yield* Effect.forkIn(held.delivery.wake, this.scope)
      } else {
        this.finder.claim(id)
        yield* this.take(id)
      }
      return yield* this.runOrElsewhere(id)
    })
  }

  private restart(id: RunId): Effect.Effect<void> {
    return this.alone(
      id,
      Effect.suspend(() => {
        const held = this.held.get(id)
        this.held.delete(id)
        return held === undefined ? Effect.void : Scope.close(held.scope, Exit.void)
      })
    )
  }

  // ---- views ----

  /** A run that is, or was lately, delivered here. */
  run(id: RunId): Effect.Effect<RunView | undefined, StorageError> {
    return Effect.suspend(() => {
      const held = this.held.get(id)
      return held === undefined ? Effect.succeed(this.views.get(id)) : this.view(id, held.delivery)
    })
  }

  /** Those that are delivered here now. */
  get runs(): Effect.Effect<ReadonlyArray<RunView>, StorageError> {
    return Effect.suspend(() => Effect.forEach([...this.held], ([id, { delivery }]) => this.view(id, delivery)))
  }

  /** The same for a run that another process delivers, from its cursor files. */
  private runOrElsewhere(id: RunId): Effect.Effect<RunView | undefined, StorageError> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const here = yield* this.run(id)
        if (here !== undefined) return here
        const run = yield* this.journal.open(id)
        const started = yield* run.started
        const names = started?.backends.map(({ name }) => name) ?? []
        const standings = yield* Effect.forEach(names, (name) =>
          Effect.map(Pipeline.standingFromCursor(run, name), (standing) => [name, standing] as const)
        )
        const { status } = yield* run.standing(yield* run.writersNow)
        return this.toView(id, status, new Map(standings))
      })
    )
  }

  private view(id: RunId, delivery: Pipeline.RunDelivery): Effect.Effect<RunView, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const { status } = yield* delivery.standing
      return this.toView(id, status, yield* delivery.backends)
    })
  }

  private toView(id: RunId, status: RunView["status"], standings: ReadonlyMap<string, BackendStanding>): RunView {
    const backends = [...standings].map(([name, { reason, ...standing }]): readonly [string, BackendStanding] => [
      name,
      reason === undefined ? standing : { ...standing, reason: this.secrets.redact(reason) }
    ])
    return {
      id,
      status,
      drained: backends.every(([, { pending, state }]) => pending === 0 && (isOpen(status) || isSettled(state))),
      backends: Object.fromEntries(backends)
    }
  }

  private alone<A, E>(id: RunId, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const change = this.changing.get(id) ?? { one: Semaphore.makeUnsafe(1), users: 0 }
      this.changing.set(id, change)
      change.users++
      return Effect.ensuring(
        change.one.withPermit(effect),
        Effect.sync(() => {
          if (--change.users === 0) this.changing.delete(id)
        })
      )
    })
  }
}

/** The backend has closed the run, or nothing more happens to it here by itself. */
const isSettled = (state: BackendStanding["state"]): boolean =>
  state === "done" || state === "held" || state === "missing" || state === "error"

const later: Verdict = { _tag: "later" }

const isAnyAlive = (writers: ReadonlyArray<Writer>): boolean =>
  writers.some(({ life, role }) => life === "alive" && role !== "observer")
