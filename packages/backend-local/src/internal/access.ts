/**
 * How the reader gets at a database: by a read-only connection of its own, or by the one of a `LocalStore` (the only way into a store in
 * memory).
 */
import { statSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BackendError } from "@tracelet/core/BackendError"
import type { LocalStore } from "../LocalStore.ts"
import { attempt } from "./attempt.ts"
import type { Connection } from "./Connection.ts"
import { openForReading } from "./openStore.ts"

export interface Access {
  /** `absent` when there is no store yet. */
  readonly read: <A>(doing: string, absent: A, work: (connection: Connection) => A) => Effect.Effect<A, BackendError>
  /** All of one transaction, taken in pieces while the stream is pulled. */
  readonly stream: <A>(
    doing: string,
    work: (connection: Connection) => Iterable<ReadonlyArray<A>>
  ) => Stream.Stream<A, BackendError>
}

export const fromStore = (store: LocalStore["Service"]): Access => ({
  read: (doing, _absent, work) => store.read(doing, work),
  stream: (doing, work) =>
    Stream.unwrap(
      Effect.map(
        store.read(doing, (connection) => [...work(connection)].flat()),
        Stream.fromIterable
      )
    )
})

/** A file that is not there, or is replaced by another, is looked for again at the next call. */
export const fromFile = (file: string): Effect.Effect<Access, never, Scope.Scope> =>
  Effect.gen(function* () {
    let current: { readonly connection: Connection; readonly identity: string } | undefined
    const close = () => {
      current?.connection[Symbol.dispose]()
      current = undefined
    }
    yield* Effect.addFinalizer(() => Effect.sync(close))
    const connect = (): Connection | undefined => {
      const identity = identify(file)
      if (current !== undefined && current.identity !== identity) close()
      if (current === undefined && identity !== undefined) {
        const connection = openForReading(file)
        if (connection !== undefined) current = { connection, identity }
      }
      return current?.connection
    }
    return {
      read: (doing, absent, work) =>
        attempt(doing, file, () => {
          const connection = connect()
          return connection === undefined ? absent : connection.read(work)
        }),
      stream: (doing, work) => snapshot(doing, file, work)
    }
  })

/** A connection of its own, in one transaction until the stream ends. */
const snapshot = <A>(
  doing: string,
  file: string,
  work: (connection: Connection) => Iterable<ReadonlyArray<A>>
): Stream.Stream<A, BackendError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const connection = yield* Effect.acquireRelease(
        attempt(doing, file, () => {
          const opened = openForReading(file)
          opened?.database.exec("BEGIN")
          return opened
        }),
        (opened) => Effect.sync(() => opened?.[Symbol.dispose]())
      )
      if (connection === undefined) return Stream.empty
      const pages = work(connection)[Symbol.iterator]()
      return Stream.paginate(undefined, () =>
        attempt(doing, file, (): readonly [ReadonlyArray<A>, Option.Option<undefined>] => {
          const next = pages.next()
          return next.done === true ? [[], Option.none()] : [next.value, Option.some(undefined)]
        })
      )
    })
  )

const identify = (file: string): string | undefined => {
  const found = statSync(file, { throwIfNoEntry: false })
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}
