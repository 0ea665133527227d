/**
 * The tables, as numbered steps from an empty file to the version this package writes. A step that was published is never edited. What
 * the tables mean is in docs/spec/store-schema.md.
 */
import type { Connection } from "./internal/Connection.ts"
import { asNumber } from "./internal/Connection.ts"
import { Refused } from "./internal/failures.ts"

/** "tlet" in ASCII: tells a store from another application's database. */
export const applicationId = 0x746c6574

/** Step n (from 0) leads from version n to version n + 1. */
const steps: ReadonlyArray<string> = [
  `CREATE TABLE run (
     run INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     project TEXT NOT NULL,
     name TEXT NOT NULL,
     status TEXT NOT NULL,
     started_at REAL NOT NULL,
     ended_at REAL,
     closed INTEGER NOT NULL DEFAULT 0,
     points INTEGER NOT NULL DEFAULT 0,
     delivered INTEGER NOT NULL DEFAULT 0,
     rejected INTEGER NOT NULL DEFAULT 0,
     filtered INTEGER NOT NULL DEFAULT 0,
     tail_rows INTEGER NOT NULL DEFAULT 0,
     tail_points INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE INDEX run_by_name ON run (name);
   CREATE TABLE mark (
     run INTEGER NOT NULL,
     writer TEXT NOT NULL,
     position INTEGER NOT NULL,
     point INTEGER NOT NULL,
     PRIMARY KEY (run, writer)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE series (
     series INTEGER PRIMARY KEY,
     run INTEGER NOT NULL,
     key TEXT NOT NULL,
     name TEXT NOT NULL,
     context TEXT NOT NULL,
     UNIQUE (run, key)
   ) STRICT;
   CREATE TABLE stream (
     stream INTEGER PRIMARY KEY,
     series INTEGER NOT NULL,
     writer TEXT NOT NULL,
     chunks INTEGER NOT NULL DEFAULT 0,
     last_points INTEGER NOT NULL DEFAULT 0,
     summary BLOB,
     UNIQUE (series, writer)
   ) STRICT;
   CREATE TABLE chunk (
     chunk INTEGER PRIMARY KEY,
     points INTEGER NOT NULL,
     nans INTEGER NOT NULL,
     step_min INTEGER NOT NULL,
     step_max INTEGER NOT NULL,
     value_min REAL,
     value_max REAL,
     value_first REAL,
     value_last REAL,
     columns BLOB NOT NULL
   ) STRICT;
   CREATE TABLE tail (
     tail INTEGER PRIMARY KEY,
     columns BLOB NOT NULL
   ) STRICT;
   CREATE TABLE param (
     run INTEGER NOT NULL,
     key TEXT NOT NULL,
     writer TEXT NOT NULL,
     position INTEGER NOT NULL,
     time REAL NOT NULL,
     value TEXT NOT NULL,
     PRIMARY KEY (run, key, writer, position)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE tag (
     run INTEGER NOT NULL,
     key TEXT NOT NULL,
     writer TEXT NOT NULL,
     time REAL NOT NULL,
     value TEXT NOT NULL,
     PRIMARY KEY (run, key, writer)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE event (
     run INTEGER NOT NULL,
     kind TEXT NOT NULL,
     writer TEXT NOT NULL,
     position INTEGER NOT NULL,
     time REAL NOT NULL,
     payload TEXT NOT NULL,
     PRIMARY KEY (run, kind, writer, position)
   ) STRICT, WITHOUT ROWID;`,
  // Names that change, and tags that are taken away (journal.md J5.9, J5.14).
  `ALTER TABLE run ADD COLUMN renamed_at REAL;
   ALTER TABLE run ADD COLUMN renamed_by TEXT;
   CREATE TABLE tag_2 (
     run INTEGER NOT NULL,
     key TEXT NOT NULL,
     writer TEXT NOT NULL,
     time REAL NOT NULL,
     value TEXT,
     PRIMARY KEY (run, key, writer)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO tag_2 SELECT * FROM tag;
   DROP TABLE tag;
   ALTER TABLE tag_2 RENAME TO tag;`,
  // A page that changes on the disk is noticed; what was written before has none.
  `ALTER TABLE chunk ADD COLUMN checksum INTEGER;
   ALTER TABLE tail ADD COLUMN checksum INTEGER;`
]

/** The version this package reads and writes. Older stores are migrated when they are opened, newer ones refused. */
export const version = steps.length

/** The version of an open store: 0 when it has no tables yet. Throws `Refused` for a newer one, and for another application's. */
export const versionOf = (connection: Connection): number => {
  const found = pragma(connection, "user_version")
  const application = pragma(connection, "application_id")
  const isEmpty = connection.database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined
  if (!isEmpty && application !== applicationId) {
    throw new Refused("it is a database of another application", "Give the store a file of its own.")
  }
  if (found > version) {
    throw new Refused(
      `the store has version ${found}, and this tracelet knows versions up to ${version}`,
      "Install the newer tracelet that wrote it, or move the file away: it is rebuilt from the journals."
    )
  }
  return found
}

/**
 * Brings a store to `version`, each step in a transaction of its own. Of two processes that do it at once one waits for the other and
 * finds the step done.
 */
export const migrate = (connection: Connection): void => {
  while (versionOf(connection) < version) {
    connection.write(() => {
      const found = versionOf(connection)
      const step = steps[found]
      if (step === undefined) return
      connection.database.exec(step)
      connection.database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${found + 1}`)
    })
  }
}

const pragma = (connection: Connection, name: "user_version" | "application_id"): number =>
  asNumber(connection.database.prepare(`PRAGMA ${name}`).get()?.[name])
