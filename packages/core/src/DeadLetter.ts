/**
 * What one backend refused of one run for good, with the reason (journal.md §14): a file that only grows. A letter is a line; what became of it
 * later, that it is to be sent again, was taken after all or was given up, is another line behind it. So a power cut tears at most
 * the last one, and nothing is lost by a crash between two.
 *
 * Only the holder of the run's `delivery.lock` writes here. The event itself is read from the journal when it is sent again: what stands in a
 * letter is for people.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Batch } from "./Backend.ts"
import * as Cursor from "./Cursor.ts"
import type { StorageError } from "./JournalStorage.ts"
import { JsonObject } from "./JsonObject.ts"
import { Id } from "./Name.ts"
import type { RunEvent } from "./RunEvent.ts"
import type { RunJournal } from "./RunJournal.ts"
import type { Rejected } from "./WriteReport.ts"
import { decodeText, encodeText } from "./internal/bytes.ts"
import * as Json from "./internal/json.ts"
import { cut } from "./internal/places.ts"

const identity = { writer: Schema.String, position: Schema.Int, index: Schema.Int }

/** Which event a letter holds (J3.5). */
export const LetterId = Schema.Struct(identity)
export interface LetterId extends Schema.Schema.Type<typeof LetterId> {}

/**
 * - `refused`: it lies here.
 * - `retry`: it is sent again by whoever delivers the run next.
 * - `delivered`: it was, and was taken.
 * - `dropped`: somebody has given it up, and `why` says why.
 */
export const State = Schema.Literals(["refused", "retry", "delivered", "dropped"])
export type State = typeof State.Type

/** A line that begins a letter. Of those with the same identity the last one counts. */
const LetterLine = Schema.Struct({
  ...identity,
  /** Seconds since the Unix epoch. */
  at: Schema.Finite,
  reason: Schema.String,
  event: JsonObject
})

/** A line that says what became of one. */
const StateLine = Schema.Struct({
  ...identity,
  at: Schema.Finite,
  state: Schema.Literals(["retry", "delivered", "dropped"]),
  why: Schema.optionalKey(Schema.String)
})

export const Letter = Schema.Struct({
  ...LetterLine.fields,
  state: State,
  why: Schema.optionalKey(Schema.String)
})
export interface Letter extends Schema.Schema.Type<typeof Letter> {}

export interface Contents {
  /** One for each event, in the order in which they were refused first. */
  readonly letters: ReadonlyArray<Letter>
  /** Lines that cannot be read, with their numbers from 1. */
  readonly damaged: ReadonlyArray<{ readonly line: number; readonly text: string }>
  /** The last line was torn: what comes next has to begin on one of its own. */
  readonly isTorn: boolean
}

/** Of a damaged line. */
const excerptChars = 200
const lineEnd = 0x0a
const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Union([LetterLine, StateLine])))

export const keyOf = ({ index, position, writer }: LetterId): string => `${writer} ${position}.${index}`

const pathOf = (run: RunJournal, backend: string): string =>
  run.storage.join(run.folder, "deadletter", `${backend}.ndjson`)

/** The backends of a run that have a dead letter. */
export const backends = (run: RunJournal): Effect.Effect<ReadonlyArray<string>, StorageError> =>
  Effect.map(run.storage.list(run.storage.join(run.folder, "deadletter")), (names) =>
    names
      .flatMap((name) => (name.endsWith(".ndjson") ? [name.slice(0, -".ndjson".length)] : []))
      .filter(Schema.is(Id))
      .toSorted()
  )

/** All of it. Damaged lines are passed over, and shown; a run without one has an empty one. */
export const read = (run: RunJournal, backend: string): Effect.Effect<Contents, StorageError> =>
  Effect.map(run.storage.read(pathOf(run, backend)), (bytes = new Uint8Array()) => {
    const letters = new Map<string, Letter>()
    const damaged: Array<Contents["damaged"][number]> = []
    for (let from = 0, line = 1; from < bytes.length; line++) {
      const end = bytes.indexOf(lineEnd, from)
      const to = end < 0 ? bytes.length : end
      const text = decodeText(bytes.subarray(from, to))
      from = to + 1
      if (text?.trim() === "") continue
      const decoded = decode(text)
      if (Result.isSuccess(decoded)) take(letters, decoded.success)
      else damaged.push({ line, text: (text ?? "bytes that are no text").slice(0, excerptChars) })
    }
    return { letters: [...letters.values()], damaged, isTorn: bytes.length > 0 && bytes.at(-1) !== lineEnd }
  })

const take = (letters: Map<string, Letter>, line: typeof LetterLine.Type | typeof StateLine.Type): void => {
  const key = keyOf(line)
  if ("event" in line) return void letters.set(key, { ...line, state: "refused" })
  const letter = letters.get(key)
  // Of a letter whose own line is damaged there is nothing to say.
  if (letter === undefined) return
  const { why: _, ...rest } = letter
  letters.set(key, { ...rest, state: line.state, ...(line.why === undefined ? {} : { why: line.why }) })
}

const append = (
  run: RunJournal,
  backend: string,
  { isTorn }: Pick<Contents, "isTorn">,
  lines: ReadonlyArray<object>
): Effect.Effect<void, StorageError> => {
  if (lines.length === 0) return Effect.void
  const text = lines.map((line) => `${Json.stringify(line) ?? "null"}\n`).join("")
  return Effect.andThen(
    run.storage.makeFolder(run.storage.join(run.folder, "deadletter")),
    Effect.suspend(() => run.storage.append(pathOf(run, backend), encodeText(isTorn ? `\n${text}` : text)))
  )
}

/** Events that were refused now. When it has returned they survive a power cut. */
export const put = (
  run: RunJournal,
  backend: string,
  before: Pick<Contents, "isTorn">,
  letters: ReadonlyArray<Omit<Letter, "state" | "at">>
): Effect.Effect<void, StorageError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    append(
      run,
      backend,
      before,
      letters.map(({ writer, position, index, reason, event }) => ({
        at: now / 1000,
        writer,
        position,
        index,
        reason,
        event
      }))
    )
  )

/** What becomes of letters. When it has returned it survives a power cut. */
export const mark = (
  run: RunJournal,
  backend: string,
  before: Pick<Contents, "isTorn">,
  letters: ReadonlyArray<LetterId>,
  state: "retry" | "delivered" | "dropped",
  why?: string
): Effect.Effect<void, StorageError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    append(
      run,
      backend,
      before,
      letters.map(({ writer, position, index }) => ({
        at: now / 1000,
        writer,
        position,
        index,
        state,
        ...(why === undefined ? {} : { why })
      }))
    )
  )

/** How many letters were settled, and how. */
export const settledOf = ({ letters }: Pick<Contents, "letters">): Cursor.Settled => ({
  delivered: letters.filter(({ state }) => state === "delivered").length,
  dropped: letters.filter(({ state }) => state === "dropped").length
})

/**
 * The cursor with counts as the letters now stand: what was taken after all is delivered, what was given up is left out. Its `settled` says
 * how much of that it has counted already: so each is counted once, whatever was cut off in between.
 */
export const settle = (cursor: Cursor.Cursor, settled: Cursor.Settled): Cursor.Cursor => {
  const before = cursor.settled ?? noneSettled
  const delivered = settled.delivered - before.delivered
  const dropped = settled.dropped - before.dropped
  if (delivered === 0 && dropped === 0) return cursor
  const counts = Cursor.addCounts(cursor.counts, { delivered, rejected: -delivered - dropped, filtered: dropped })
  return { ...cursor, counts, settled }
}

const noneSettled: Cursor.Settled = { delivered: 0, dropped: 0 }

/** The event of a letter, from the journal: a batch of it alone; `undefined` where the journal has it no more. */
export const eventOf = (
  run: RunJournal,
  { index, position, writer }: LetterId
): Effect.Effect<Batch | undefined, StorageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const all = [...(yield* run.writers), ...(yield* run.derived)]
      const found = all.find(({ id }) => id === writer)
      if (found === undefined) return undefined
      const limits = { points: 1, bytes: 1 }
      const follower = yield* run.follow(writer, { position, index }, limits, "name" in found ? found.name : undefined)
      const [batch] = yield* follower.take(found)
      if (batch === undefined) return undefined
      const [alone] = cut(batch, 1)
      const event = alone.events.at(-1)
      const at = event?._tag === "PointBatch" ? event.positions[0] : event?.position
      return event === undefined || at !== position ? undefined : { ...alone, events: [event] }
    })
  )

/** A refused event as a letter keeps it: enough to read it, and its identity to send it again. */
export const letterOf = (
  { writer, events }: Batch,
  { event: at, index, reason }: Rejected
): Omit<Letter, "state" | "at"> => {
  const event = events[at]
  if (event === undefined) return { writer, position: 0, index: 0, reason, event: {} }
  if (event._tag !== "PointBatch") return { writer, position: event.position, index: 0, reason, event: shown(event) }
  const series = event.table.get(event.series[index] ?? -1)
  return {
    writer,
    position: event.positions[index] ?? 0,
    index: event.indices[index] ?? 0,
    reason,
    event: {
      _tag: "Point",
      name: series?.name ?? "",
      context: series?.context ?? {},
      step: event.steps[index] ?? 0,
      value: event.values[index] ?? NaN,
      time: event.times[index] ?? 0
    }
  }
}

const shown = (event: Exclude<RunEvent, { readonly _tag: "PointBatch" }>): JsonObject => {
  const { position: _, ...rest } = event
  return Schema.is(JsonObject)(rest) ? rest : {}
}
