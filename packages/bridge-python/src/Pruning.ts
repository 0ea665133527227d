/** The agent's part in retention (journal.md §12): applies the policy once it has looked around, and again from time to time. */
import { Journal } from "@tracelet/core/Journal"
import * as Retention from "@tracelet/core/Retention"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { TargetsOf } from "./RunKeeper.ts"

/** The first time what was left undelivered is delivered first, as far as that goes. */
const firstAfter = "2 seconds"
const every = "1 minute"

/** Until it is interrupted. Never fails: what could not be removed is tried again. */
export const prune = (
  journal: Journal["Service"],
  policy: Retention.Policy,
  targetsOf: TargetsOf
): Effect.Effect<void> => {
  if (Retention.isEmpty(policy)) return Effect.void
  const once = Retention.apply(journal, policy, (started) => targetsOf(started, {})).pipe(
    Effect.flatMap((removed) =>
      Effect.forEach(
        removed,
        ({ bytes, run, why }) => Effect.logInfo(`Run ${run.id} is removed by retention (${why}): ${bytes} bytes.`),
        { discard: true }
      )
    ),
    Effect.catchCause((cause) => Effect.logWarning("Old runs are not removed now; it is tried again.", cause))
  )
  return Effect.asVoid(Effect.repeat(Effect.delay(once, firstAfter), Schedule.spaced(every)))
}
