/**
 * Real agents and trainers in processes of their own, each ended with the scope it was started in.
 */
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import * as LocalReader from "@tracelet/backend-local/LocalReader"
import * as Effect from "effect/Effect"
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const agentMain = join(import.meta.dirname, "..", "src", "agentMain.ts")
const writerProcess = join(import.meta.dirname, "writerProcess.ts")

export interface Started {
  readonly child: ChildProcess
  /** Its exit code, or the signal that ended it. */
  readonly ended: Effect.Effect<number | string>
  /** What it wrote so far. */
  readonly output: () => string
}

/** A folder for journals, and beside it one for sockets: `environment` says so to whoever is started. */
export const temporary = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(realpathSync(tmpdir()), "tracelet-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (home) => {
    const dir = join(home, ".tracelet")
    mkdirSync(dir)
    mkdirSync(join(home, "runtime"))
    return { home, dir, environment: { ...process.env, XDG_RUNTIME_DIR: join(home, "runtime") } }
  }
)

export const start = (command: string, args: ReadonlyArray<string>, options: SpawnOptions = {}) =>
  Effect.acquireRelease(
    Effect.sync((): Started => {
      const child = spawn(command, args, { stdio: "pipe", ...options })
      let output = ""
      for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part) => (output += String(part)))
      const ended = new Promise<number | string>((resolve) =>
        child.once("close", (code, signal) => resolve(code ?? signal ?? ""))
      )
      return { child, ended: Effect.promise(() => ended), output: () => output }
    }),
    ({ child, ended }) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        ended
      )
  )

const fromSource = ["--conditions=@tracelet/source", "--disable-warning=ExperimentalWarning"]

export const startAgent = (dir: string, args: ReadonlyArray<string>, options: SpawnOptions) =>
  start(process.execPath, [...fromSource, agentMain, "--dir", dir, ...args], options)

/** A trainer that has logged all of its points, and lives. */
export const startWriter = Effect.fnUntraced(function* (
  dir: string,
  run: string,
  points: number,
  backends: string = "local"
) {
  const writer = yield* start(process.execPath, [...fromSource, writerProcess, dir, run, String(points), backends])
  yield* until(Effect.sync(() => writer.output().includes("written")))
  return writer
})

/** Asks until it is so, for at most 20 s. */
export const until = <E, R>(isSo: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.asVoid(Effect.repeat(Effect.delay(isSo, "20 millis"), { until: (so) => so, times: 1_000 }))

/** The folder's agent, once it listens. */
export const listening = (dir: string) =>
  Effect.gen(function* () {
    yield* until(
      Effect.flatMap(AgentClient.find(dir), (client) => client.status).pipe(
        Effect.as(true),
        Effect.orElseSucceed(() => false)
      )
    )
    return yield* AgentClient.find(dir)
  })

/** What the store has of a run: its status, and each point of its only series. */
export const stored = (dir: string, run: string) =>
  Effect.gen(function* () {
    const reader = yield* LocalReader.LocalReader
    const row = (yield* reader.runs()).find(({ id }) => id === run)
    const [series] = yield* reader.series(run)
    const points = series === undefined ? undefined : yield* reader.points(run, series.id)
    return { status: row?.status, closed: row?.closed, points }
  }).pipe(Effect.provide(LocalReader.layer({ file: join(dir, "store.db") })))
