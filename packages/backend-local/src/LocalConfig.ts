/**
 * What a user may say about the local store: where it lies.
 */
import * as Schema from "effect/Schema"

export const LocalConfig = Schema.Struct({
  file: Schema.optionalKey(
    Schema.NonEmptyString.annotate({ examples: ["/data/tracelet/store.db"] }).pipe(
      Schema.annotateKey({
        description:
          "Path of the database file. Default: `store.db` in the journal's folder. It must lie on a local disk: SQLite's " +
          "write-ahead log does not work over a network."
      })
    )
  )
})
export interface LocalConfig extends Schema.Schema.Type<typeof LocalConfig> {}
