/**
 * The local store as a backend: one transaction a batch, which keeps the data, the writer's mark and the counts together (identity
 * `position`). A batch that comes again, wholly or in part, is trimmed at the mark. Everything is kept as it was logged.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Backend, type BackendRun, type EndRun, type OpenRun } from "@tracelet/core/Backend"
import type { BackendError } from "@tracelet/core/BackendError"
import type { Capabilities } from "@tracelet/core/Capabilities"
import { noCounts } from "@tracelet/core/Cursor"
import { kinds } from "@tracelet/core/RunEvent"
import { compact } from "./internal/compact.ts"
import { asNumber, type Connection } from "./internal/Connection.ts"
import { ingest, setTag } from "./internal/ingest.ts"
import { readConfirmed } from "./internal/rows.ts"
import { StreamIds } from "./internal/StreamIds.ts"
import * as LocalStore from "./LocalStore.ts"

export const capabilities: Capabilities = {
  kinds: new Set(kinds),
  identity: "position",
  // A transaction costs about as much as 1,000 points; 128 MiB is twice the largest payload of a record (J6.1).
  limits: { points: 16_384, bytes: 128 * 2 ** 20 },
  values: { nan: true, infinity: true, negativeZero: true },
  steps: { negative: true, repeated: true, late: true },
  degradations: []
}

/** The backend over a store that is shared with others. */
export const make: Effect.Effect<Backend["Service"], never, LocalStore.LocalStore> = Effect.gen(function* () {
  const store = yield* LocalStore.LocalStore
  return Backend.of({
    capabilities,
    open: (run) => openRun(store, run),
    forget: (run) => Effect.asVoid(store.forget(run))
  })
})

/** `file`: an absolute path, or `:memory:`. Touches nothing before a run is opened. */
export const layer = (options: { readonly file: string }): Layer.Layer<Backend> =>
  // A layer of its own each time: layers are built once by reference, and two stores in one app must not be one.
  Layer.effect(Backend, make).pipe(Layer.provide(LocalStore.layer(options)))

/** The same over a `LocalStore` that others use too. */
export const layerStore: Layer.Layer<Backend, never, LocalStore.LocalStore> = Layer.effect(Backend, make)

const openRun = (store: LocalStore.LocalStore["Service"], open: OpenRun): Effect.Effect<BackendRun, BackendError> => {
  const id = open.run.id
  return store
    .write(`open run ${id}`, (connection) => insertRun(connection, open))
    .pipe(
      Effect.map((run) => {
        const streams = new StreamIds()
        // Numbers of a transaction that did not commit may be given to others.
        let isCommitted = true
        return {
          remote: null,
          confirmed: store.read(
            `read what is confirmed of run ${id}`,
            (connection) => readConfirmed(connection, run) ?? { marks: new Map(), counts: noCounts, closed: false }
          ),
          write: (batch) =>
            store
              .write(`write ${batch.events.length} events of run ${id}`, (connection) => {
                if (!isCommitted) streams.clear()
                isCommitted = false
                return ingest(connection, { run, streams }, batch)
              })
              .pipe(
                Effect.map((report) => {
                  isCommitted = true
                  return report
                })
              ),
          close: (end) => store.write(`close run ${id}`, (connection) => closeRun(connection, run, end))
        }
      })
    )
}

/** Neither status nor `closed` change here: a run that ended is open again when something new is written. */
const insertRun = (connection: Connection, { run, startedAt }: OpenRun): number => {
  const row = connection
    .prepare(
      `INSERT INTO run (id, project, name, status, started_at) VALUES (?, ?, ?, 'running', ?)
       ON CONFLICT (id) DO UPDATE SET project = excluded.project, started_at = excluded.started_at,
         name = iif(renamed_at IS NULL, excluded.name, name)
       RETURNING run`
    )
    .get(run.id, run.project, run.name, startedAt)
  const number = asNumber(row?.["run"])
  // The tags it started with are older than any that was set, whatever the clocks of other hosts say.
  for (const [key, value] of Object.entries(run.tags)) setTag(connection, number, key, "", -Infinity, value)
  return number
}

const closeRun = (connection: Connection, run: number, end: EndRun): void => {
  compact(connection, run)
  connection
    .prepare("UPDATE run SET status = ?, ended_at = ?, closed = 1 WHERE run = ?")
    .run(end.status, end.endedAt, run)
}
