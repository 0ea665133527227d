/**
 * The run one logs into. `Tracker.withRun` and `Run.provide` supply it; logging where none is supplied does not compile.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { JournalError, JournalWriter } from "./Journal.ts"
import type { Run } from "./Run.ts"

export class CurrentRun extends Context.Service<
  CurrentRun,
  {
    readonly run: Run
    /** Where its events go. `Tracker`'s functions are the way to use it. */
    readonly writer: JournalWriter
    /** The clock of who started the run: looked up once, since `log` reads it at every call. */
    readonly clock: Clock.Clock
    /** What `log` does when the buffer is full and the call does not say. */
    readonly onFull: "block" | "dropNewest"
    /** Returns when everything logged so far survives a power cut. */
    readonly flush: Effect.Effect<void, JournalError>
  }
>()("@tracelet/core/CurrentRun") {}
