/** Takes a run's `delivery.lock` for a command that changes what only its deliverer may. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunJournal } from "@tracelet/core/RunJournal"
import { CommandError } from "./Failure.ts"

/** An agent lets go of a run 1.5 s after it was done with it. */
const lockMax = Duration.seconds(3)
const lockPoll = Duration.millis(100)

/** Until the scope closes; waits for somebody who is nearly done, and fails when another process delivers the run. `called`: for people. */
export const take = (run: RunJournal, called: string): Effect.Effect<void, StorageError | CommandError, Scope.Scope> =>
  Effect.gen(function* () {
    const isTaken = yield* run.lock.pipe(
      Effect.repeat({ until: (taken) => taken, schedule: Schedule.spaced(lockPoll) }),
      Effect.timeoutOption(lockMax)
    )
    if (isTaken._tag === "Some") return
    return yield* new CommandError({
      tag: "RunInUse",
      message: `Run ${called} is being delivered by another process.`,
      hint: "`tracelet status` says how far it is; try again when it is done, or after `tracelet agent stop`."
    })
  })
