/**
 * What backends refused of the runs of this folder, and what becomes of it by a user's wish. What is asked for is written down under the run's
 * `delivery.lock`; it is sent by whoever delivers the run next.
 */
import * as Effect from "effect/Effect"
import * as DeadLetter from "@tracelet/core/DeadLetter"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { RunJournal } from "@tracelet/core/RunJournal"
import { storeId } from "./CatchUp.ts"
import { CommandError } from "./Failure.ts"
import * as Format from "./Format.ts"
import type * as Output from "./Output.ts"
import { take } from "./TakeRun.ts"
import * as Text from "./Text.ts"

/** One backend's of one run. */
export interface Box {
  readonly run: RunJournal
  readonly backend: string
  readonly contents: DeadLetter.Contents
}

/** Of a run, or of one of its backends. */
export const boxes = (run: RunJournal, only: string | undefined): Effect.Effect<ReadonlyArray<Box>, StorageError> =>
  Effect.gen(function* () {
    const names = (yield* DeadLetter.backends(run)).filter((name) => only === undefined || name === only)
    return yield* Effect.forEach(names, (backend) =>
      Effect.map(DeadLetter.read(run, backend), (contents) => ({ run, backend, contents }))
    )
  })

/** Neither delivered since nor given up. */
export const isOpen = ({ state }: Pick<DeadLetter.Letter, "state">): boolean => state === "refused" || state === "retry"

export interface Report {
  readonly id: string
  readonly name: string
}

export const called = ({ id, name }: Report): string => `${Text.printable(name)} (${id.slice(0, 8)})`

/**
 * Writes down what becomes of what lies there, of all backends of the run or of one, and answers with what that was, by backend. Fails when
 * there is nothing, when another process delivers the run, and for a store that is built from the journals.
 */
export const settle = (
  run: RunJournal,
  about: Report,
  only: string | undefined,
  wish: { readonly state: "retry" } | { readonly state: "dropped"; readonly why: string }
) =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* take(run, called(about))
      const started = yield* run.started
      const isStore = (backend: string) =>
        started?.backends.some(({ name, plugin }) => name === backend && plugin === storeId) === true
      const all = yield* boxes(run, only)
      const affected = new Map<string, ReadonlyArray<DeadLetter.Letter>>()
      for (const { backend, contents } of all) {
        const letters = contents.letters.filter(isOpen)
        if (letters.length === 0) continue
        if (isStore(backend)) {
          if (only === undefined) continue
          return yield* new CommandError({
            tag: "BuiltFromJournals",
            message: `${backend} is a store that is built from the journals, and keeps its own account of what it refused.`,
            hint: "To have it take everything again, remove its file: it is built anew by the next command."
          })
        }
        affected.set(backend, letters)
        yield* DeadLetter.mark(run, backend, contents, letters, wish.state, "why" in wish ? wish.why : undefined)
        if (wish.state === "dropped") yield* count(run, backend)
      }
      if (affected.size > 0) return affected
      const where = only === undefined ? "" : ` for ${Text.printable(only)}`
      return yield* new CommandError({
        tag: "NothingRefused",
        message: `The dead letter of run ${called(about)}${where} has nothing that waits for you.`,
        hint: "`tracelet dead-letter list` shows what was refused, of all runs."
      })
    })
  )

/** So that every command says at once what was given up. Where another host may be the deliverer, its lane does this (journal.md J7.4). */
const count = (run: RunJournal, backend: string): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    if (!(yield* run.locksDecide)) return
    const cursor = yield* run.cursor(backend)
    if (typeof cursor !== "object") return
    const settled = DeadLetter.settledOf(yield* DeadLetter.read(run, backend))
    yield* run.saveCursor(DeadLetter.settle(cursor, settled), { sync: true })
  })

/** What became of the letters since. */
export const outcome = (
  run: RunJournal,
  affected: ReadonlyMap<string, ReadonlyArray<DeadLetter.Letter>>
): Effect.Effect<Output.DeadLetterRetried["backends"], StorageError> =>
  Effect.gen(function* () {
    const entries: Array<[string, Output.DeadLetterRetried["backends"][string]]> = []
    for (const [backend, before] of affected) {
      const keys = new Set(before.map(DeadLetter.keyOf))
      const now = (yield* DeadLetter.read(run, backend)).letters.filter((one) => keys.has(DeadLetter.keyOf(one)))
      const having = (state: DeadLetter.State) => now.filter((one) => one.state === state).length
      entries.push([backend, { delivered: having("delivered"), refused: having("refused"), pending: having("retry") }])
    }
    return Object.fromEntries(entries)
  })

/** What was refused, in a few words: `loss at step 3: NaN`, `params: lr, layers`. */
export const described = ({ event }: Pick<DeadLetter.Letter, "event">): string => {
  const text = (key: string): string => {
    const value = event[key]
    return typeof value === "string" ? value : typeof value === "number" ? Format.number(value) : ""
  }
  if (event["_tag"] === "Point") return Text.printable(`${text("name")} at step ${text("step")}: ${text("value")}`)
  const kind = text("_tag").toLowerCase()
  const keys = Object.keys(Object(event["params"] ?? event["tags"] ?? {}))
  const what = keys.length > 0 ? keys.join(", ") : text("name")
  return Text.printable(what === "" ? kind : `${kind}: ${what}`)
}
