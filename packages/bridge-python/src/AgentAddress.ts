/**
 * Where a folder's agent is found: `agents/<host>.json` (A3), and where its socket lies (A4). Writing is the agent's, reading everybody's.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs"
import { hash } from "node:crypto"
import { hostname, tmpdir, userInfo } from "node:os"
import { join, resolve } from "node:path"
import { AgentError } from "./AgentApi.ts"

/** Longest path that a Unix socket can have on Linux, without its closing zero; macOS has 103. */
export const socketBytesMax = process.platform === "darwin" ? 103 : 107

export const Address = Schema.Struct({
  version: Schema.Int,
  tracelet: Schema.String,
  pid: Schema.Int,
  address: Schema.String,
  token: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
  startedAt: Schema.Finite
})
export interface Address extends Schema.Schema.Type<typeof Address> {}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Address))

export interface AgentFiles {
  readonly folder: string
  readonly lock: string
  readonly address: string
  readonly log: string
}

/** The files of an agent in `dir/agents`, named after the host (A1). */
export const files = (dir: string, host: string = hostname()): AgentFiles => {
  const folder = join(dir, "agents")
  const name = join(folder, host.replace(/[^A-Za-z0-9._-]/g, "_"))
  return { folder, lock: `${name}.lock`, address: `${name}.json`, log: `${name}.log` }
}

/** `undefined` when there is no such file, or it is not one of ours. */
export const read = (dir: string): Effect.Effect<Address | undefined> =>
  Effect.sync(() => {
    try {
      const address = decode(readFileSync(files(dir).address, "utf8"))
      return Result.isSuccess(address) ? address.success : undefined
    } catch {
      return undefined
    }
  })

/** By rename and with mode 0600, so that nobody ever reads half a token, or somebody else's. */
export const write = (dir: string, address: Address): Effect.Effect<void, AgentError> =>
  attempt("write the agent's address", () => {
    const path = files(dir).address
    const temporary = `${path}.${address.pid}.tmp`
    writeFileSync(temporary, JSON.stringify(address), { mode: 0o600 })
    renameSync(temporary, path)
  })

/** Only by who holds the agent's lock: the file is then its own, or a dead one's. */
export const remove = (dir: string): Effect.Effect<void> =>
  Effect.ignore(attempt("", () => unlinkSync(files(dir).address)))

/**
 * A path for the socket of `dir`'s agent, in a folder that is there and belongs to nobody else: in `$XDG_RUNTIME_DIR`, else in the
 * temporary folder. Fails, saying what to do, when there is neither.
 */
export const socketPath = (
  dir: string,
  env: { readonly [key: string]: string | undefined } = process.env
): Effect.Effect<string, AgentError> =>
  Effect.suspend(() => {
    const runtime = env["XDG_RUNTIME_DIR"]
    const { uid } = userInfo()
    const folders = [
      ...(runtime === undefined || runtime === "" ? [] : [join(runtime, "tracelet")]),
      join(tmpdir(), `tracelet-${uid}`)
    ]
    const name = `${hash("sha256", resolve(dir)).slice(0, 16)}.sock`
    const problems: Array<string> = []
    for (const folder of folders) {
      const path = join(folder, name)
      const problem = Buffer.byteLength(path) > socketBytesMax ? tooLong(path) : prepare(folder, uid)
      if (problem === undefined) return Effect.succeed(path)
      problems.push(problem)
    }
    const message = `The agent has no place for its socket. ${problems.join(" ")}`
    return Effect.fail(new AgentError({ status: 0, message }))
  })

const tooLong = (path: string): string =>
  `${path} has more than ${socketBytesMax} bytes: set XDG_RUNTIME_DIR or TMPDIR to a shorter path.`

/** Makes the folder for this user alone; answers what is wrong with it otherwise. */
const prepare = (folder: string, uid: number): string | undefined => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    // Not `stat`: a symbolic link in a folder that others may write to leads wherever they want.
    const stat = lstatSync(folder)
    if (!stat.isDirectory()) return `${folder} is not a folder: remove it, or set XDG_RUNTIME_DIR.`
    if (uid >= 0 && stat.uid !== uid) {
      return `${folder} belongs to user ${stat.uid}: set XDG_RUNTIME_DIR to a folder of your own.`
    }
    if (uid >= 0 && (stat.mode & 0o077) !== 0) chmodSync(folder, 0o700)
    return undefined
  } catch (cause) {
    return `${folder} cannot be made (${describe(cause)}): set XDG_RUNTIME_DIR to a folder you may write to.`
  }
}

const attempt = (doing: string, evaluate: () => void): Effect.Effect<void, AgentError> =>
  Effect.try({
    try: evaluate,
    catch: (cause) => new AgentError({ status: 0, message: `Could not ${doing}: ${describe(cause)}` })
  })

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
