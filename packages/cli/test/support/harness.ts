/**
 * Runs the command line in this process: a session that keeps what is printed, a clock that stands still, UTC, and a folder of its own.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "vitest"
import { run } from "../../src/Cli.ts"
import type { ExitCode } from "../../src/Failure.ts"
import { make, Session, type Environment } from "../../src/Session.ts"

process.env["TZ"] = "UTC"

/** 2026-11-24 12:00:00 UTC, in seconds. */
export const now = Date.UTC(2026, 10, 24, 12) / 1000

export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(realpathSync(tmpdir()), "tracelet-cli-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

export interface Printed {
  readonly code: ExitCode
  readonly out: string
  readonly err: string
}

export interface SessionOptions {
  /** Of a terminal; left out, stdout is a pipe. */
  readonly columns?: number
  readonly env?: Environment
  readonly isErrTerminal?: boolean
  /** What is typed when the command asks; left out, nobody can be asked. */
  readonly answer?: string
}

/** `tracelet ARGS`, in `dir`. */
export const tracelet = (
  dir: string,
  args: ReadonlyArray<string>,
  options: SessionOptions = {}
): Effect.Effect<Printed> =>
  Effect.gen(function* () {
    let out = ""
    let err = ""
    const session = make({
      cwd: dir,
      env: { NO_COLOR: "1", ...options.env },
      out: (text) =>
        Effect.sync(() => void (out += typeof text === "string" ? text : Buffer.from(text).toString("latin1"))),
      err: (text) => Effect.sync(() => void (err += text)),
      ask:
        options.answer === undefined
          ? undefined
          : (question) => Effect.sync(() => ((err += question), options.answer ?? "")),
      columns: options.columns,
      isErrTerminal: options.isErrTerminal ?? false
    })
    const clock = yield* Clock.Clock
    const still: Clock.Clock = {
      ...clock,
      currentTimeMillis: Effect.succeed(now * 1000),
      currentTimeMillisUnsafe: () => now * 1000,
      sleep: (duration) => clock.sleep(duration)
    }
    const code = yield* run(args).pipe(
      Effect.provideService(Session, session),
      Effect.provideService(Clock.Clock, still)
    )
    return { code, out, err }
  })

/** Compares with `goldens/NAME.txt`; `vitest -u` writes it anew. The folder's path is `<dir>` there. */
export const golden = (name: string, text: string, dir?: string): Effect.Effect<void> =>
  Effect.promise(() =>
    expect(dir === undefined ? text : text.replaceAll(dir, "<dir>")).toMatchFileSnapshot(`./goldens/${name}.txt`)
  )
