/**
 * A run for MLflow whose agent has no password: what says so, and how `tracelet sync` hands over the one that its environment has. The server is a
 * stand-in that lets nobody in, and remembers who asked.
 */
import { assert, it } from "@effect/vitest"
import { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { describe } from "vitest"
import { listening, start, startAgent, temporary, until } from "./agentProcess.ts"
import { writeEnded } from "./support/runs.ts"

const main = join(import.meta.dirname, "../src/main.ts")
const id = "aa11".padEnd(32, "0")
const password = "geheim-9c1f"
const asked = `Basic ${Buffer.from(`me:${password}`).toString("base64")}`

const server = Effect.acquireRelease(
  Effect.callback<{ readonly uri: string; readonly seen: Set<string>; readonly close: () => void }>((resume) => {
    const seen = new Set<string>()
    const listener = createServer((request, response) => {
      seen.add(request.headers.authorization ?? "nobody")
      request.resume().on("end", () => response.writeHead(401, { "www-authenticate": "Basic" }).end("Who are you?"))
    })
    listener.listen(0, "127.0.0.1", () => {
      const address = listener.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ uri: `http://127.0.0.1:${port}`, seen, close: () => void listener.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const command = Effect.fnUntraced(function* (dir: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) {
  const options = ["--conditions=@tracelet/source", "--disable-warning=ExperimentalWarning"]
  const started = yield* start(process.execPath, [...options, main, ...args, "--dir", dir], { env })
  return { code: yield* started.ended, output: started.output() }
})

describe("a run for MLflow whose agent has no password", { timeout: 60_000 }, () => {
  it.live(
    "is held and says which variables give it; sync hands over what its environment has, which shows nowhere",
    () =>
      Effect.gen(function* () {
        const { home, dir, environment } = yield* temporary
        const { uri, seen } = yield* server
        // The home of this agent has no credentials file.
        const env = { ...environment, HOME: home }
        const config = { trackingUri: uri, username: "me" }
        yield* writeEnded(dir, {
          id,
          backends: [{ name: "mlflow", plugin: "backend.mlflow", version: "0.1.0", config }],
          log: (writer, at) => writer.point("loss", 1, 0, undefined, at)
        })
        const agent = yield* startAgent(dir, [], { env })
        const client = yield* listening(dir)
        const stateIs = (state: string) =>
          Effect.map(client.run(RunId.make(id)), (view) => view?.backends["mlflow"]?.state === state)
        yield* until(stateIs("held"))
        assert.deepStrictEqual([...seen], ["nobody"])
        const status = yield* command(dir, ["status"], env)
        assert.include(status.output, "MLFLOW_TRACKING_PASSWORD")

        const elsewhere = { MLFLOW_TRACKING_URI: "http://elsewhere.example", MLFLOW_TRACKING_PASSWORD: password }
        yield* command(dir, ["sync", "--timeout", "5s"], { ...env, ...elsewhere })
        assert.deepStrictEqual([...seen], ["nobody"])

        const synced = yield* command(dir, ["sync", "--timeout", "5s"], { ...env, MLFLOW_TRACKING_PASSWORD: password })
        assert.strictEqual(synced.code, 3)
        assert.isTrue(seen.has(asked))
        const files = readdirSync(dir, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
        const line = `/proc/${agent.child.pid}/cmdline`
        const said = [...files, synced.output, agent.output(), existsSync(line) ? readFileSync(line, "latin1") : ""]
        assert.isFalse(said.some((text) => text.includes(password) || text.includes(asked)))
      }).pipe(Effect.scoped)
  )
})
