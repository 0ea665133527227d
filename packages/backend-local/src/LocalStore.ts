/**
 * Owns the database file: opens it at the first use, migrates it, and runs one transaction after another on it. What the transactions do
 * is `LocalBackend`'s; reading in another process, or without waiting for a writer, is `LocalReader`'s.
 *
 * The file is opened late so that a full disk or a damaged store is a failure of a lane, which is retried or held, and never of the app.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { BackendError } from "@tracelet/core/BackendError"
import { attempt } from "./internal/attempt.ts"
import type { Connection } from "./internal/Connection.ts"
import { forgetRun } from "./internal/forget.ts"
import { closeAfterWriting, openForWriting } from "./internal/openStore.ts"

export class LocalStore extends Context.Service<
  LocalStore,
  {
    readonly file: string
    /**
     * Runs `work` in a transaction: all of it is kept, or none. `doing` completes "Could not …" in the message of a failure.
     * Fails with `Transient` when the disk is full or another process holds the lock for more than 5 s, with `Held` when the file is
     * damaged, of a newer version, or may not be written, with `Poison` for anything else.
     */
    readonly write: <A>(doing: string, work: (connection: Connection) => A) => Effect.Effect<A, BackendError>
    /** The same for reading; sees what `write` has done, also in a store in memory. */
    readonly read: <A>(doing: string, work: (connection: Connection) => A) => Effect.Effect<A, BackendError>
    /**
     * Removes all rows of a run, in one transaction, so that it can be built again from its journals; false when there were none.
     * A lane that has the run open is held at its next write. To be called by the holder of the run's `delivery.lock` (J8.5).
     */
    readonly forget: (run: string) => Effect.Effect<boolean, BackendError>
  }
>()("@tracelet/backend-local/LocalStore") {}

/** `file`: an absolute path, or `:memory:` for a store that ends with the scope. Nothing is opened before the first use. */
export const make = (options: { readonly file: string }): Effect.Effect<LocalStore["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const { file } = options
    let open: Connection | undefined
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (open !== undefined) closeAfterWriting(open)
        open = undefined
      })
    )
    const connect = () => (open ??= openForWriting(file))
    const write = <A>(doing: string, work: (connection: Connection) => A) =>
      attempt(doing, file, () => connect().write(work))
    return {
      file,
      write,
      read: (doing, work) => attempt(doing, file, () => connect().read(work)),
      forget: (run) => write(`forget run ${run}`, (connection) => forgetRun(connection, run))
    }
  })

export const layer = (options: { readonly file: string }): Layer.Layer<LocalStore> =>
  Layer.effect(LocalStore, make(options))
