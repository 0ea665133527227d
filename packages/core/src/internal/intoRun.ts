/**
 * How one call gets into the run of its fiber: when there is room, and never by raising into the caller's work.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { CurrentRun } from "../CurrentRun.ts"
import type { JournalError } from "../Journal.ts"
import type { SeriesContext } from "../SeriesContext.ts"
import { describeValue } from "./describeValue.ts"
import { StorageError } from "./storageError.ts"

export interface LogOptions {
  /** A whole number within ±(2^53 − 1). Default: one more than the greatest step of the series in this run, from 0. */
  readonly step?: number
  /** Tells series of one name apart: `{ subset: "val" }`. */
  readonly context?: SeriesContext
}

export const raised = "it raised when it was read"

export const currentRun = (fiber: Fiber.Fiber<unknown, unknown>): CurrentRun["Service"] =>
  // The type of `log` asks for it; a fiber's own type does not say what it holds.
  Context.getUnsafe(fiber.context, CurrentRun)

/** What is logged into a run that has ended is not kept: said at once, since the run's own summary is written. */
export const whenEnded = (
  { run, writer }: CurrentRun["Service"],
  what: unknown,
  options?: { readonly durable?: true }
): Effect.Effect<void, JournalError> => {
  const message = `run ${run.name} has ended: what is logged into it now is not kept (${describeValue(what).slice(0, 100)})`
  writer.refuse("it was logged after the run had ended", what)
  if (options?.durable === true)
    return Effect.fail(new StorageError({ operation: "log into", path: run.id, code: "", message }))
  return Effect.logWarning(`tracelet: ${message}`)
}

export const why = ({ writer }: CurrentRun["Service"]): string =>
  writer.failure?.message ?? "more is logged than is written"

/** Writes when there is room, as `log` does. */
export const event = (
  what: string,
  write: (current: CurrentRun["Service"], time: number) => void
): Effect.Effect<void, never, CurrentRun> =>
  Effect.withFiber<void, never, CurrentRun>((fiber) => {
    const current = currentRun(fiber)
    const now = () => current.clock.currentTimeMillisUnsafe() / 1000
    if (!current.writer.isFull) {
      return Effect.sync(() => {
        try {
          write(current, now())
        } catch (cause) {
          current.writer.refuse(raised, `${describeValue(what)}: ${describeValue(cause)}`)
        }
      })
    }
    if (current.writer.isClosed) return Effect.orDie(whenEnded(current, what))
    if (current.onFull === "dropNewest" || current.writer.failure !== undefined) {
      return Effect.sync(() => current.writer.refuse(`the buffer was full: ${why(current)}`, what))
    }
    return Effect.andThen(
      Effect.ignore(current.writer.commit),
      Effect.suspend(() => event(what, write))
    )
  })
