/**
 * Changes a run that was recorded, or is being recorded: events by an observer of its own beside the run's primary writer, so that status and
 * writer are untouched, and the change is in the journal for every backend and every store to come. It is delivered at once, as `sync` does.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Journal } from "@tracelet/core/Journal"
import { isOpen, type RunId } from "@tracelet/core/Run"
import type { Renamed, Tags } from "@tracelet/core/RunEvent"
import * as Agents from "./Agents.ts"
import { CommandError } from "./Failure.ts"
import * as Format from "./Format.ts"
import * as Frame from "./Frame.ts"
import * as Lookup from "./Lookup.ts"
import * as Report from "./Report.ts"
import * as SyncRuns from "./SyncRuns.ts"
import * as Text from "./Text.ts"
import { Place } from "./Workspace.ts"

/** Longest wait for the delivery of a change. A running run is never delivered whole: there it is the wait for the change alone. */
const deliveryMax = Duration.seconds(10)
const deliveryMaxWhileRunning = Duration.seconds(2)

/** Seconds between two changes of one run, at least: the later one wins, whatever the clocks of their hosts say. */
const apart = 0.001

/**
 * Appends what `event` makes of a time to the run that is meant by `query`, delivers it, and answers how the run stands then. `event` may say
 * by `undefined` that there is nothing to change.
 */
export const change = <E, R>(
  query: string,
  event: (report: Report.Report, time: number) => Effect.Effect<Renamed | Tags | undefined, E, R>
) =>
  Effect.gen(function* () {
    const before = yield* Frame.one(query)
    const known = yield* Lookup.known
    const run = known.journals.get(before.id)
    const writers = run === undefined ? [] : yield* run.writers
    const primary = writers.find(({ role }) => role === "primary") ?? writers[0]
    if (run === undefined || primary === undefined) {
      return yield* new CommandError({
        tag: "JournalGone",
        message: `The journals of run ${before.id} are gone.`,
        hint: "A change would be lost when the store is built again, so none is made."
      })
    }
    const now = (yield* Clock.currentTimeMillis) / 1000
    const { lastTime } = yield* run.amended
    const payload = yield* event(before, Math.max(now, before.endedSeconds ?? now, lastTime + apart))
    if (payload === undefined) return before
    yield* append(run.id, primary.id, payload)
    yield* deliver(before, known)
    return yield* Frame.one(before.id)
  })

/** The writer is over when this returns, so that lanes can close the run again. */
const append = (run: RunId, of: string, payload: Renamed | Tags) =>
  Effect.gen(function* () {
    const writer = yield* (yield* Journal).write({ run, role: "observer", of })
    writer.event(payload)
    yield* writer.flush
  }).pipe(Effect.scoped)

const deliver = (before: Report.Report, known: Lookup.Known) =>
  Effect.gen(function* () {
    const isRunning = isOpen(before.status)
    const { results } = yield* SyncRuns.sync({
      known,
      wanted: before.id,
      agent: yield* Agents.find((yield* Place).dir),
      timeout: isRunning ? deliveryMaxWhileRunning : deliveryMax,
      progress: new SyncRuns.Progress(),
      isArchiving: false,
      takesOver: () => false
    })
    if (isRunning || results.every(({ drained }) => drained)) return
    const left = Object.entries(Report.sums(results)).filter(([, { pending }]) => pending > 0)
    const names = left.map(([name, { pending }]) => `${name} (${Format.plural(pending, "event")} to go)`).join(", ")
    yield* Frame.note(
      `The change is kept, and not everywhere yet: ${Text.printable(names)}. \`tracelet sync\` delivers it.`
    )
  })
