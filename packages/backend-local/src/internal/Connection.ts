/**
 * One open database: statements prepared once, transactions, and values of rows that are what the schema says or a failure.
 * `node:sqlite` is synchronous, so a transaction runs to its end before anything else of this process does.
 */
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite"

/** A row that is not what the schema says: somebody else wrote it, or the file is damaged. */
export class UnexpectedRow extends Error {
  override readonly name = "UnexpectedRow"
}

export interface OpenOptions {
  readonly readOnly: boolean
  /** Longest wait for a lock, in milliseconds. It blocks the thread. */
  readonly busyMillis: number
}

export class Connection implements Disposable {
  readonly database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(file: string, options: OpenOptions) {
    this.database = new DatabaseSync(file, { readOnly: options.readOnly, timeout: options.busyMillis })
  }

  /** The SQL texts of this package are constants, so the cache is bounded by the source. */
  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  /** Takes the write lock first, so that nothing `work` has read can change before it writes. */
  write<A>(work: (connection: this) => A): A {
    return this.#transaction("BEGIN IMMEDIATE", work)
  }

  /** One state of the database for all that `work` reads. */
  read<A>(work: (connection: this) => A): A {
    return this.#transaction("BEGIN", work)
  }

  #transaction<A>(begin: string, work: (connection: this) => A): A {
    this.database.exec(begin)
    try {
      const result = work(this)
      this.database.exec("COMMIT")
      return result
    } catch (failure) {
      // A full disk may have rolled back already.
      if (this.database.isTransaction) this.database.exec("ROLLBACK")
      throw failure
    }
  }

  [Symbol.dispose](): void {
    this.#statements.clear()
    this.database.close()
  }
}

export const asText = (value: SQLOutputValue | undefined): string => {
  if (typeof value === "string") return value
  throw new UnexpectedRow(`expected a text, found ${describe(value)}`)
}

export const asNumber = (value: SQLOutputValue | undefined): number => {
  if (typeof value === "number") return value
  throw new UnexpectedRow(`expected a number, found ${describe(value)}`)
}

export const asBlob = (value: SQLOutputValue | undefined): Uint8Array => {
  if (value instanceof Uint8Array) return value
  throw new UnexpectedRow(`expected a blob, found ${describe(value)}`)
}

const describe = (value: SQLOutputValue | undefined): string => (value === null ? "NULL" : typeof value)
