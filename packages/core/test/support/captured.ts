/** A run in memory, and all that its journal holds when it is over. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import type { CurrentRun } from "../../src/CurrentRun.ts"
import * as Journal from "../../src/Journal.ts"
import type { PluginConfigError } from "../../src/Plugin.ts"
import type { RunEvent } from "../../src/RunEvent.ts"
import * as Tracelet from "../../src/Tracelet.ts"
import * as Tracker from "../../src/Tracker.ts"

export interface Captured {
  readonly events: ReadonlyArray<RunEvent>
  /** What was said, a line each. */
  readonly said: ReadonlyArray<string>
  readonly blob: (digest: string) => Effect.Effect<Uint8Array, Journal.JournalError>
  /** Names in the folder of blobs. */
  readonly blobs: ReadonlyArray<string>
}

const joined = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(pieces.flatMap((piece) => [...piece]))

/** `files` are those of the user's, by their paths, in folders that are made for them. */
export const capture = <E>(
  body: Effect.Effect<void, E, CurrentRun>,
  files: Readonly<Record<string, Uint8Array>> = {}
): Effect.Effect<Captured, E | Journal.JournalError | Tracker.RunOptionsError | PluginConfigError> => {
  const said: Array<string> = []
  const logger = Logger.make(({ message }) => void said.push([message].flat().join(" ")))
  return Effect.gen(function* () {
    const journal = yield* Journal.Journal
    for (const [path, bytes] of Object.entries(files)) {
      yield* journal.storage.makeFolder(path.slice(0, path.lastIndexOf("/")))
      yield* journal.storage.replace(path, bytes, { sync: false })
    }
    yield* Tracker.withRun({ name: "n" })(body)
    const [id] = yield* journal.runs
    if (id === undefined) return yield* Effect.die("no run")
    const run = yield* journal.open(id)
    const reader = yield* run.reader(new Map(), { points: 10_000, bytes: 1e8 })
    const events: Array<RunEvent> = []
    for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) events.push(...batch.events)
    const blobs = yield* journal.storage.list(journal.storage.join(journal.folder, "runs", id, "blobs"))
    const blob = (digest: string) => Effect.map(Stream.runCollect(run.blob(digest)), joined)
    return { events, said, blob, blobs }
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(Tracelet.layer({ backends: {} }), Journal.layerMemory)),
    Effect.provide(Logger.layer([logger]))
  )
}

/** Of the events those of one kind. */
export const only = <T extends RunEvent["_tag"]>(
  { events }: Captured,
  tag: T
): ReadonlyArray<Extract<RunEvent, { readonly _tag: T }>> =>
  events.filter((event): event is Extract<RunEvent, { readonly _tag: T }> => event._tag === tag)
