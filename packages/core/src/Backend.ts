/**
 * The contract of a backend: translate and send, nothing else. Batching, retry, cursors and the dead letter are `Delivery`'s.
 *
 * Laws:
 * 1. Building a backend touches no network; `open` may.
 * 2. `write` is called with one batch at a time per run, in the order of each writer. After a failure what is sent again may be cut
 *    differently, from the first mark that is not confirmed on. Between `to` of one batch and `from` of the next lies no event. What a
 *    user has sent again from the dead letter comes alone, in a batch that lies before the marks; never with identity `position`.
 * 3. When `write` returns, every event of the batch is accepted, rejected or to be retried: exactly one of the three.
 * 4. A write that fails or is interrupted may have been applied wholly or in part; `capabilities.identity` says what a resend then does.
 * 5. `close` may come more than once, and `open` after it: a late writer reopens a run. `open` alone leaves it closed; the next write
 *    opens it again.
 * 6. With identity `position`, `confirmed` and the data of a write become visible together or not at all.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BackendError } from "./BackendError.ts"
import type { Capabilities } from "./Capabilities.ts"
import type { Counts, Mark, Marks } from "./Cursor.ts"
import type { StorageError } from "./JournalStorage.ts"
import type { JsonObject } from "./JsonObject.ts"
import type { Run, RunId, Status } from "./Run.ts"
import type { RunEvent, RunStarted } from "./RunEvent.ts"
import type { WriteReport } from "./WriteReport.ts"

/** Events of one writer, in order, from mark `from` (inclusive) to mark `to` (exclusive). */
export interface Batch {
  readonly writer: string
  readonly from: Mark
  readonly to: Mark
  readonly events: ReadonlyArray<RunEvent>
  /** How many events between `from` and `to` a route or a processor left out. */
  readonly filtered: number
  /** How many were refused for good by an earlier write and put aside: to be counted by who keeps the marks itself. */
  readonly rejected: number
}

/** What `open` is told about the run, and what it may ask of its lane as long as the run is open. */
export interface OpenRun {
  readonly run: Run
  /** Seconds since the Unix epoch. */
  readonly startedAt: number
  /** The record it was begun with: its origin, its parent, the span it was begun under. */
  readonly started: RunStarted
  /** The service's own name for the run, when it was opened before. */
  readonly remote: string | null
  /** The same for another run of this folder, as far as this backend has opened it. */
  readonly remoteOf: (run: RunId) => Effect.Effect<string | null, BackendError>
  /**
   * Makes a call that cannot be repeated, such as one that creates something there. An intent of that kind and detail is on the disk before
   * it (journal.md J7.5), and goes when it has succeeded or was refused for good. `isUncertain`: an earlier call may have been applied; look for its effect first.
   */
  readonly once: <A>(
    kind: string,
    detail: JsonObject,
    call: (isUncertain: boolean) => Effect.Effect<A, BackendError>
  ) => Effect.Effect<A, BackendError>
  /** Bytes of a file or medium that an event names by its digest, `sha256:<hex>`; fails with the code `ENOENT` when it is gone. */
  readonly blob: (digest: string) => Stream.Stream<Uint8Array, StorageError>
}

/** `OpenRun` for who opens a run without a lane, in a bench or a test: nothing is known of other runs, and no intent is written. */
export const openAlone = (started: RunStarted, blob: OpenRun["blob"] = () => Stream.empty): OpenRun => ({
  run: started.run,
  startedAt: started.time,
  started,
  remote: null,
  remoteOf: () => Effect.succeed(null),
  once: (_kind, _detail, call) => call(false),
  blob
})

export interface EndRun {
  readonly status: Status
  /** Seconds since the Unix epoch: of the last end record, else of the last event. */
  readonly endedAt: number
}

/** What a backend with identity `position` has confirmed. */
export interface Confirmed {
  readonly marks: Marks
  readonly counts: Counts
  readonly closed: boolean
}

/** One run, open in one backend. */
export interface BackendRun {
  /** The service's own name for the run, kept in the cursor; `null` where the run's id serves. */
  readonly remote: string | null
  /** Only with identity `position`: where to go on. Elsewhere the cursor file says it. */
  readonly confirmed: Effect.Effect<Confirmed, BackendError> | undefined
  readonly write: (batch: Batch) => Effect.Effect<WriteReport, BackendError>
  readonly close: (end: EndRun) => Effect.Effect<void, BackendError>
}

export class Backend extends Context.Service<
  Backend,
  {
    readonly capabilities: Capabilities
    /** The scope is that of the lane: what `open` acquires is released when the lane stops. */
    readonly open: (run: OpenRun) => Effect.Effect<BackendRun, BackendError, Scope.Scope>
    /** Only of a store that is a cache of the journals: removes what it has of a run, before these are removed (journal.md §12). */
    readonly forget?: (run: RunId) => Effect.Effect<void, BackendError>
  }
>()("@tracelet/core/Backend") {}
