/**
 * What a lane lends to its backend while a run is open: calls that are made once, blobs, and the names of other runs there
 * (`Backend.OpenRun`).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { OpenRun } from "../Backend.ts"
import { transient } from "../BackendError.ts"
import type * as Cursor from "../Cursor.ts"
import type { StorageError } from "../JournalStorage.ts"
import type { RunJournal } from "../RunJournal.ts"
import { stringify } from "./json.ts"

/** The cursor as the lane holds it, with its intents. */
export interface Holder {
  readonly intents: () => ReadonlyArray<Cursor.Intent>
  /** In memory: whatever is saved next holds them. */
  readonly setIntents: (intents: ReadonlyArray<Cursor.Intent>) => void
  /** On the disk when it returns. */
  readonly save: Effect.Effect<void, StorageError>
}

export const lend = (
  name: string,
  run: RunJournal,
  { intents, save, setIntents }: Holder
): Pick<OpenRun, "once" | "blob" | "remoteOf"> => {
  const onDisk = <A>(effect: Effect.Effect<A, StorageError>) =>
    Effect.mapError(effect, (error) => transient(name, error.message, error))
  return {
    blob: (digest) => run.blob(digest),
    remoteOf: (other) =>
      onDisk(
        Effect.map(run.sibling(other).cursor(name), (cursor) => (typeof cursor === "object" ? cursor.remote : null))
      ),
    once: (kind, detail, call) =>
      Effect.gen(function* () {
        const id = stringify([kind, detail]) ?? kind
        const isUncertain = intents().some((intent) => intent.id === id)
        if (!isUncertain) {
          const at = (yield* Clock.currentTimeMillis) / 1000
          setIntents([...intents(), { id, kind, at, detail }])
          yield* onDisk(save)
        }
        const forget = () => setIntents(intents().filter((intent) => intent.id !== id))
        const answer = yield* Effect.tapError(call(isUncertain), (error) =>
          // Who is refused knows that nothing was applied; whatever else failed may have been.
          error.isRetryable ? Effect.void : Effect.andThen(Effect.sync(forget), Effect.ignore(save))
        )
        forget()
        return answer
      })
  }
}
