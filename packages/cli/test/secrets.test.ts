/**
 * A trainer's secrets on their whole way: over the socket into the agent's memory, to the service, and nowhere else; and what becomes of a run
 * whose agent has none.
 */
import { assert, it } from "@effect/vitest"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { join } from "node:path"
import { describe } from "vitest"
import { listening, start, temporary, until } from "./agentProcess.ts"

const root = join(import.meta.dirname, "..", "..", "..")
const module = join(root, "packages", "bridge-python", "python", "src")
const environmentPython = join(root, ".venv", "bin", "python")
const python = existsSync(environmentPython) ? environmentPython : "python3"

const token = "geheim-5e3a1c"

/** Logs three points with the token it is given, says so, and ends when it is told to. */
const trainer = `
import os, sys
import tracelet
backend = {"url": os.environ["SERVICE"], "token": sys.stdin.readline().strip()}
run = tracelet.start_logging("secretive", backend="demanding", config={"demanding": backend})
for step in range(3):
    run.log({"loss": step / 8}, step=step)
run._agent.wait_told(10)
print("logged", run.id, flush=True)
sys.stdin.readline()
tracelet.stop_logging(False)
`

/** Takes points from who has the token; tells everybody else what they sent. */
const service = Effect.acquireRelease(
  Effect.callback<{
    readonly url: string
    readonly values: Array<number>
    readonly refused: () => number
    readonly close: () => void
  }>((resume) => {
    const values: Array<number> = []
    let refused = 0
    const server = createServer((request: IncomingMessage, response: ServerResponse) => {
      let body = ""
      request.on("data", (part) => (body += String(part)))
      request.on("end", () => {
        const isKnown = request.headers.authorization === `Bearer ${token}`
        if (isKnown) values.push(...JSON.parse(body))
        else refused++
        response.writeHead(isKnown ? 200 : 401).end(`you sent ${request.headers.authorization}`)
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(
        Effect.succeed({
          url: `http://127.0.0.1:${port}/`,
          values,
          refused: () => refused,
          close: () => void server.close()
        })
      )
    })
  }),
  ({ close }) => Effect.sync(close)
)

const startAgent = Effect.fnUntraced(function* (dir: string, env: NodeJS.ProcessEnv) {
  const main = join(import.meta.dirname, "demandingAgent.ts")
  const args = ["--conditions=@tracelet/source", "--disable-warning=ExperimentalWarning", main, dir]
  const agent = yield* start(process.execPath, args, { env })
  return { agent, client: yield* listening(dir) }
})

const kill = ({ child, ended }: Effect.Success<ReturnType<typeof start>>) =>
  Effect.andThen(
    Effect.sync(() => child.kill("SIGKILL")),
    ended
  )

/** Where a secret shows: files of the folder, the agent's output and its command line. */
const placesOf = (
  secret: string,
  dir: string,
  agent: Effect.Success<ReturnType<typeof start>>
): ReadonlyArray<string> => {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const commandLine = `/proc/${agent.child.pid}/cmdline`
  const texts = [...files, ...(existsSync(commandLine) ? [commandLine] : [])].map(
    (path) => [path, readFileSync(path)] as const
  )
  return [...texts, ["output", Buffer.from(agent.output())] as const].flatMap(([place, bytes]) =>
    bytes.includes(secret) ? [place] : []
  )
}

const viewOf = (client: AgentClient.AgentClient, run: string) =>
  Effect.map(client.run(RunId.make(run)), (view) => view?.backends["demanding"])

describe("a trainer's secret", { timeout: 60_000 }, () => {
  it.live("reaches the service by way of the agent's memory, and no file, log or command line", () =>
    Effect.gen(function* () {
      const { home, dir, environment } = yield* temporary
      const { url, values } = yield* service
      const { agent, client } = yield* startAgent(dir, environment)
      const { child, run } = yield* startTrainer(home, dir, environment, url, token)
      yield* until(Effect.sync(() => values.length === 3))
      child.child.stdin?.end("\n")
      assert.strictEqual(yield* child.ended, 0, child.output())
      yield* until(Effect.map(viewOf(client, run), (view) => view?.state === "done"))
      assert.deepStrictEqual(placesOf(token, dir, agent), [])
      // The search finds what is there.
      assert.isNotEmpty(placesOf("secretive", dir, agent))
    }).pipe(Effect.scoped)
  )

  it.live("that is wrong shows nowhere, even where the service repeats it, and the refusal names the variable", () =>
    Effect.gen(function* () {
      const { home, dir, environment } = yield* temporary
      const { url, refused } = yield* service
      const { agent, client } = yield* startAgent(dir, environment)
      const wrong = "geheim-wrong-77aa"
      const { child, run } = yield* startTrainer(home, dir, environment, url, wrong)
      yield* until(Effect.map(viewOf(client, run), (view) => view?.state === "held"))
      assert.isAbove(refused(), 0)
      const view = yield* viewOf(client, run)
      assert.include(view?.reason ?? "", "you sent Bearer <redacted>")
      assert.include(view?.reason ?? "", "DEMANDING_TOKEN")
      assert.deepStrictEqual(placesOf(wrong, dir, agent), [])
      assert.notInclude(child.output(), wrong)
    }).pipe(Effect.scoped)
  )

  it.live(
    "that the next agent lacks holds the run and names the variable, which gives it there or is handed over",
    () =>
      Effect.gen(function* () {
        const { home, dir, environment } = yield* temporary
        const { url, values } = yield* service
        // Recorded while nobody delivers, so that all of it waits for the secret.
        const { child, run } = yield* startTrainer(home, dir, { ...environment, TRACELET_AGENT: "off" }, url, token)
        child.child.stdin?.end("\n")
        assert.strictEqual(yield* child.ended, 0, child.output())

        const without = yield* startAgent(dir, environment)
        yield* until(Effect.map(viewOf(without.client, run), (view) => view?.state === "held"))
        const held = yield* viewOf(without.client, run)
        assert.include(held?.reason ?? "", "token may be given by DEMANDING_TOKEN")
        assert.strictEqual(held?.pending, 3)
        assert.deepStrictEqual(values, [])
        yield* kill(without.agent)

        // The environment of this one is for another server.
        const elsewhere = { DEMANDING_URL: "http://elsewhere.example/", DEMANDING_TOKEN: token }
        const other = yield* startAgent(dir, { ...environment, ...elsewhere })
        yield* until(Effect.map(viewOf(other.client, run), (view) => view?.state === "held"))
        assert.deepStrictEqual(values, [])
        yield* other.client.announce(RunId.make(run), { secrets: { demanding: { token } } })
        yield* until(Effect.sync(() => values.length === 3))
        yield* until(Effect.map(viewOf(other.client, run), (view) => view?.state === "done"))
        assert.deepStrictEqual(placesOf(token, dir, other.agent), [])
        yield* kill(other.agent)

        const second = yield* startTrainer(home, dir, { ...environment, TRACELET_AGENT: "off" }, url, token)
        second.child.child.stdin?.end("\n")
        yield* second.child.ended
        const own = yield* startAgent(dir, { ...environment, DEMANDING_TOKEN: token })
        yield* until(Effect.sync(() => values.length === 6))
        yield* until(Effect.map(viewOf(own.client, second.run), (view) => view?.state === "done"))
        assert.deepStrictEqual(placesOf(token, dir, own.agent), [])
      }).pipe(Effect.scoped)
  )
})

/** A trainer that has logged its points; its id. The secret comes on stdin, as its command line is anybody's to read. */
const startTrainer = Effect.fnUntraced(function* (
  home: string,
  dir: string,
  environment: NodeJS.ProcessEnv,
  url: string,
  secret: string
) {
  const env = { ...environment, PYTHONPATH: module, PYTHONDONTWRITEBYTECODE: "1", TRACELET_DIR: dir, SERVICE: url }
  const child = yield* start(python, ["-c", trainer], { cwd: home, env })
  child.child.stdin?.write(`${secret}\n`)
  yield* until(Effect.sync(() => child.output().includes("logged ")))
  return { child, run: /^logged (\w+)$/m.exec(child.output())?.[1] ?? "" }
})
