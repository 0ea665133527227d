/**
 * Which stateful processors a run was begun with, for hosts that lack the code of the app that began it: their pins are in its cursors, and in
 * the commits of derived journals, which are left where no cursor is. Whoever knows a processor by its id builds it from there.
 */
import * as Effect from "effect/Effect"
import type { StorageError } from "./JournalStorage.ts"
import type { JsonObject } from "./JsonObject.ts"
import type { RunJournal } from "./RunJournal.ts"
import * as DerivedJournal from "./internal/derivedJournal.ts"

/** A stateful processor, as it is pinned; `derived` is the name of its journal. */
export interface Pinned {
  readonly id: string
  readonly version: string
  readonly config: JsonObject
  readonly derived: string
}

/** One entry per derived journal, in the order of the pin. */
export const of = (run: RunJournal): Effect.Effect<ReadonlyArray<Pinned>, StorageError> =>
  Effect.gen(function* () {
    const pinned = new Map<string, Pinned>()
    for (const cursor of (yield* run.cursors).values()) {
      if (cursor === "damaged") continue
      for (const { id, version, config, derived } of cursor.pin.processors) {
        if (derived !== undefined && !pinned.has(derived)) pinned.set(derived, { id, version, config, derived })
      }
    }
    for (const derived of yield* DerivedJournal.names(run.storage, run.folder)) {
      if (pinned.has(derived)) continue
      const journals = yield* DerivedJournal.find(run.storage, run.folder, run.id, derived)
      for (const { last } of journals.values()) {
        if (last === undefined) continue
        pinned.set(derived, { id: last.processor, version: last.version, config: last.config, derived })
        break
      }
    }
    return [...pinned.values()]
  })
