/**
 * The command as a process of its own, from its sources, with the Node that runs these tests: what only a process can show. Each costs half a
 * second, so there are few.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { RunId } from "@tracelet/core/Run"
import * as fakeAgent from "./support/fakeAgent.ts"
import { temporaryFolder } from "./support/harness.ts"
import { training, writeEnded } from "./support/runs.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** `tracelet ARGS`; `readMax` closes the pipe after so many bytes, as `head` does. */
const tracelet = (
  args: ReadonlyArray<string>,
  options: { readonly readMax?: number; readonly interruptWhen?: () => boolean } = {}
) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, ["--conditions=@tracelet/source", main, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" }
    })
    let out = ""
    let err = ""
    child.stdout.on("data", (part: Buffer) => {
      out += part.toString()
      if (options.readMax !== undefined && out.length >= options.readMax) child.stdout.destroy()
    })
    child.stderr.on("data", (part: Buffer) => (err += part.toString()))
    const timer = setInterval(() => {
      if (options.interruptWhen?.() === true && child.kill("SIGINT")) clearInterval(timer)
    }, 50)
    child.on("close", (code) => {
      clearInterval(timer)
      resume(Effect.succeed({ code, out, err }))
    })
    return Effect.sync(() => void child.kill())
  })

describe("the process", () => {
  it.live("exits 0, 2 and 1, and keeps JSON on stdout apart from people's words on stderr", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const [version, usage, unknown] = yield* Effect.all(
          [tracelet(["--version"]), tracelet(["shw"]), tracelet(["show", "x", "--json", "--dir", dir])],
          { concurrency: 2 }
        )
        assert.deepStrictEqual([version.code, version.err], [0, ""])
        assert.deepStrictEqual([usage.code, usage.out], [2, ""])
        assert.strictEqual(unknown.code, 1)
        assert.strictEqual(JSON.parse(unknown.out).error.tag, "RunNotFound")
        assert.strictEqual(unknown.err.trimEnd().split("\n").length, 1)
      })
    )
  )

  it.live("ends quietly when whoever reads it has enough", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const log = (writer: Parameters<typeof training>[0], startedAt: number) => {
          for (let i = 0; i < 20; i++) training(writer, startedAt + i * 1_000)
        }
        yield* writeEnded(dir, { id: "aa".padEnd(32, "0"), log })
        const { code, err } = yield* tracelet(["export", "aa", "--dir", dir], { readMax: 1 })
        assert.deepStrictEqual([code, err], [0, ""])
      })
    )
  )

  it.live("stops at once on SIGINT, with a shell's exit code for it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id: "aa".padEnd(32, "0"), log: training })
        let isAsked = false
        yield* fakeAgent.start(dir, (run) => {
          isAsked = true
          const local = { delivered: 0, pending: 1, deadLetter: 0, state: "waiting" } as const
          return { id: RunId.make(run), status: "finished", drained: false, backends: { local } }
        })
        const { code } = yield* tracelet(["sync", "--dir", dir], { interruptWhen: () => isAsked })
        assert.strictEqual(code, 130)
      })
    )
  )
})
