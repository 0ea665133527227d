/** Opens the database file, for writing or for reading. */
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { migrate, version, versionOf } from "../Migrations.ts"
import { busyMillis } from "./attempt.ts"
import { Connection } from "./Connection.ts"

/** A store that lives and dies with its connection. */
export const memory = ":memory:"

/** SQLite's own default. With 16 MiB no workload of bench/local-store is quicker, and an agent keeps them when the store is closed: pages lie in a heap that does not shrink. */
const cacheKiB = 2_048
/** 4,000 pages of 4 KiB: about 16 MiB between two checkpoints, each of which syncs the file. */
const checkpointPages = 4_000
/** The log is cut to this after a checkpoint, should a long read have let it grow. */
const walBytesMax = 64 * 2 ** 20

/** Creates what is missing and migrates what is old. */
export const openForWriting = (file: string): Connection => {
  if (file !== memory) createFile(file)
  const connection = new Connection(file, { readOnly: false, busyMillis })
  try {
    // Before anything is set: a file that is refused stays as it is.
    versionOf(connection)
    // NORMAL: a power cut may undo the last transactions, data and marks together; the journal has them.
    connection.database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA cache_size = -${cacheKiB};
      PRAGMA wal_autocheckpoint = ${checkpointPages};
      PRAGMA journal_size_limit = ${walBytesMax}`)
    migrate(connection)
    return connection
  } catch (failure) {
    connection[Symbol.dispose]()
    throw failure
  }
}

/** Leaves no log behind, which SQLite does by itself only when nobody else has the file open: a reader of this process has. */
export const closeAfterWriting = (connection: Connection): void => {
  try {
    connection.database.exec("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)")
  } catch {
    // A full disk: what is in the log stays there, and whoever opens the file next reads it.
  }
  connection[Symbol.dispose]()
}

/** `undefined` when there is no store yet. One of an older version is migrated first, which needs the right to write. */
export const openForReading = (file: string): Connection | undefined => {
  if (!existsSync(file)) return undefined
  const connection = new Connection(file, { readOnly: true, busyMillis })
  try {
    const found = versionOf(connection)
    if (found === version) return connection
    connection[Symbol.dispose]()
    if (found === 0) return undefined
    openForWriting(file)[Symbol.dispose]()
    return new Connection(file, { readOnly: true, busyMillis })
  } catch (failure) {
    if (connection.database.isOpen) connection[Symbol.dispose]()
    throw failure
  }
}

/** With mode 0600 (J1.4), which SQLite then gives to the log beside it. */
const createFile = (file: string): void => {
  // One folder and none above it: that of the journals is there already, and one that a user names should be no typing error.
  if (!existsSync(dirname(file))) mkdirSync(dirname(file), { mode: 0o700 })
  closeSync(openSync(file, "a", 0o600))
}
