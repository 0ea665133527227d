/**
 * The agent as trainers and the command line meet it (docs/spec/agent.md): processes, sockets, files.
 */
import { assert, it } from "@effect/vitest"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { describe } from "vitest"
import { listening, startAgent, startWriter, stored, temporary, until } from "./agentProcess.ts"

const run = RunId.make("0123456789abcdef0123456789abcdef")

/** A request that no client of ours makes. */
const raw = (address: string, method: string, path: string, headers: { [name: string]: string }, body?: string) =>
  Effect.callback<{ readonly status: number; readonly text: string }, Error>((resume) => {
    const sent = request({ socketPath: address, method, path, headers, agent: false }, (response) => {
      let text = ""
      response.on("data", (part) => (text += String(part)))
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, text })))
    })
    sent.on("error", (error) => resume(Effect.fail(error)))
    sent.end(body)
  })

describe("the agent", { timeout: 60_000 }, () => {
  it.live("delivers what a killed trainer logged, closes the run as killed, and leaves when idle (A3, A7, A8)", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const points = 20_000
      const writer = yield* startWriter(dir, run, points)
      const agent = yield* startAgent(dir, ["--idle", "1"], { env: environment })
      const client = yield* listening(dir)
      const files = AgentAddress.files(dir)
      assert.strictEqual(statSync(files.address).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(environment.XDG_RUNTIME_DIR, "tracelet")).mode & 0o777, 0o700)
      const announced = yield* client.announce(run)
      assert.strictEqual(announced?.status, "running")
      yield* until(Effect.map(client.run(run), (view) => view?.drained === true))
      assert.deepStrictEqual((yield* client.run(run))?.backends, {
        local: { delivered: points, pending: 0, deadLetter: 0, state: "idle" }
      })
      // It stays, well beyond --idle, for as long as the trainer lives.
      yield* Effect.sleep("2 seconds")
      assert.deepStrictEqual(
        (yield* client.status).runs.map(({ id, status }) => ({ id, status })),
        [{ id: run, status: "running" }]
      )
      writer.child.kill("SIGKILL")
      assert.strictEqual(yield* agent.ended, 0)
      const store = yield* stored(dir, run)
      assert.strictEqual(store.status, "killed")
      assert.isTrue(store.closed)
      assert.deepStrictEqual(
        [...(store.points?.values ?? [])],
        Array.from({ length: points }, (_, step) => step / 8)
      )
      assert.isFalse(existsSync(files.address))
      assert.isFalse(existsSync(client.address.address))
      assert.include(readFileSync(files.log, "utf8"), "leaves: idle")
    }).pipe(Effect.scoped)
  )

  it.live("delivers what was logged before it was started, and knows the next time that it is done", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const writer = yield* startWriter(dir, run, 100)
      writer.child.stdin?.end()
      assert.strictEqual(yield* writer.ended, 0)
      for (const round of [1, 2]) {
        const agent = yield* startAgent(dir, ["--idle", "0.5"], { env: environment })
        assert.strictEqual(yield* agent.ended, 0, agent.output())
        const store = yield* stored(dir, run)
        assert.strictEqual(store.status, "finished", `round ${round}`)
        assert.strictEqual(store.points?.count, 100)
      }
      // The second one touched nothing of it.
      const cursor = join(dir, "runs", run, "cursors", "local.json")
      assert.isTrue(JSON.parse(readFileSync(cursor, "utf8")).closed)
    }).pipe(Effect.scoped)
  )

  it.live("is one a folder: of two started at once one leaves with exit code 0 (A1)", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const agents = [
        yield* startAgent(dir, ["--idle", "3"], { env: environment }),
        yield* startAgent(dir, ["--idle", "3"], { env: environment })
      ] as const
      const client = yield* listening(dir)
      yield* until(Effect.sync(() => agents.some(({ child }) => child.exitCode !== null)))
      const [left, stayed] = agents[0].child.exitCode === null ? [agents[1], agents[0]] : agents
      assert.strictEqual(left.child.exitCode, 0)
      assert.strictEqual(left.output(), "")
      assert.strictEqual((yield* client.status).pid, stayed.child.pid)
      assert.strictEqual(yield* stayed.ended, 0)
    }).pipe(Effect.scoped)
  )

  it.live("answers only who has the token, and refuses what is not as the page says (A5)", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      yield* startAgent(dir, [], { env: environment })
      const { address } = yield* listening(dir)
      const socket = address.address
      const bearer = { authorization: `Bearer ${address.token}` }
      assert.deepStrictEqual(yield* raw(socket, "GET", "/v1/status", {}), { status: 401, text: "" })
      const wrong = { authorization: `Bearer ${"0".repeat(64)}` }
      assert.deepStrictEqual(yield* raw(socket, "POST", "/v1/stop", wrong), { status: 401, text: "" })
      assert.strictEqual((yield* raw(socket, "GET", "/v1/status", bearer)).status, 200)
      assert.strictEqual((yield* raw(socket, "GET", "/v2/status", bearer)).status, 404)
      assert.strictEqual((yield* raw(socket, "GET", `/v1/runs/${run}`, bearer)).status, 404)
      assert.strictEqual((yield* raw(socket, "GET", "/v1/runs/..%2f..", bearer)).status, 404)
      for (const body of ["", "{", "[]", "{}", `{"run":"../x"}`, `{"run":"${run}","secrets":{"local":"x"}}`]) {
        const answer = yield* raw(socket, "POST", "/v1/runs", bearer, body)
        assert.strictEqual(answer.status, 400, body)
        assert.include(answer.text, "error")
      }
      assert.strictEqual((yield* raw(socket, "POST", "/v1/runs", bearer, `{"run":"${run}"}`)).status, 404)
      const megabytes = JSON.stringify({ run, padding: "x".repeat(2 * 1024 * 1024) })
      assert.strictEqual((yield* raw(socket, "POST", "/v1/runs", bearer, megabytes)).status, 413)
      const chunked = { ...bearer, "transfer-encoding": "chunked" }
      assert.strictEqual((yield* raw(socket, "POST", "/v1/runs", chunked, megabytes)).status, 413)
      assert.strictEqual((yield* raw(socket, "GET", "/v1/status", bearer)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("ends when it is told to and keeps what is undelivered; its lock is free then (A9)", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const agent = yield* startAgent(dir, [], { env: environment })
      const client = yield* listening(dir)
      const writer = yield* startWriter(dir, run, 10)
      yield* client.announce(run)
      const asked = performance.now()
      yield* client.stop
      assert.strictEqual(yield* agent.ended, 0)
      assert.isBelow(performance.now() - asked, 2_000)
      assert.strictEqual((yield* Effect.flip(client.status))._tag, "AgentNotRunning")
      assert.strictEqual((yield* Effect.flip(AgentClient.find(dir)))._tag, "AgentNotRunning")
      // The next one takes over what the trainer logs on.
      yield* startAgent(dir, [], { env: environment })
      const next = yield* listening(dir)
      yield* until(Effect.map(next.run(run), (view) => view?.drained === true))
      writer.child.kill("SIGKILL")
    }).pipe(Effect.scoped)
  )

  it.live("leaves on SIGTERM and SIGINT, and lets go of everything (A8)", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      yield* startWriter(dir, run, 10)
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const agent = yield* startAgent(dir, [], { env: environment })
        const client = yield* listening(dir)
        yield* client.announce(run)
        const sent = performance.now()
        agent.child.kill(signal)
        assert.strictEqual(yield* agent.ended, 0)
        assert.isBelow(performance.now() - sent, 2_000)
        assert.isFalse(existsSync(AgentAddress.files(dir).address))
        assert.isFalse(existsSync(client.address.address))
      }
    }).pipe(Effect.scoped)
  )

  it.live("takes the place of one that was killed, with its socket and its file still there", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const first = yield* startAgent(dir, [], { env: environment })
      const client = yield* listening(dir)
      first.child.kill("SIGKILL")
      yield* first.ended
      assert.isTrue(existsSync(client.address.address))
      assert.strictEqual((yield* Effect.flip(client.status))._tag, "AgentNotRunning")
      const second = yield* startAgent(dir, [], { env: environment })
      const next = yield* listening(dir)
      assert.strictEqual(next.address.pid, second.child.pid)
      assert.strictEqual(next.address.address, client.address.address)
      assert.notStrictEqual(next.address.token, client.address.token)
    }).pipe(Effect.scoped)
  )

  it.live("says that a backend is missing, delivers to the others, and is not kept by it", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const writer = yield* startWriter(dir, run, 50, "local,nowhere")
      const agent = yield* startAgent(dir, ["--idle", "1"], { env: environment })
      const client = yield* listening(dir)
      yield* until(Effect.map(client.run(run), (view) => view?.backends["local"]?.delivered === 50))
      const view = yield* client.run(run)
      assert.isFalse(view?.drained)
      assert.deepInclude(view?.backends["nowhere"], { delivered: 0, pending: 50, deadLetter: 0, state: "missing" })
      assert.include(view?.backends["nowhere"]?.reason, "backend.nowhere")
      writer.child.kill("SIGKILL")
      assert.strictEqual(yield* agent.ended, 0)
    }).pipe(Effect.scoped)
  )

  it.live("keeps secrets out of its log, its status and its file", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      yield* startWriter(dir, run, 10)
      const agent = yield* startAgent(dir, [], { env: environment })
      const client = yield* listening(dir)
      const secret = "hunter2-hunter2"
      // The local store has no such key, so that its config is refused: the message must not say what was in it.
      const view = yield* client.announce(run, { secrets: { local: { apiKey: secret }, other: { password: secret } } })
      assert.strictEqual(view?.backends["local"]?.state, "error")
      assert.include(view?.backends["local"]?.reason, "apiKey")
      const files = AgentAddress.files(dir)
      const seen = [
        JSON.stringify(view),
        JSON.stringify(yield* client.status),
        readFileSync(files.address, "utf8"),
        readFileSync(files.log, "utf8"),
        agent.output()
      ]
      for (const text of seen) assert.notInclude(text, secret)
      assert.include(seen[3], "apiKey")
    }).pipe(Effect.scoped)
  )

  it.live("leaves when its folder vanishes, and does not bring it back", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const agent = yield* startAgent(dir, [], { env: environment })
      yield* listening(dir)
      rmSync(dir, { recursive: true })
      assert.strictEqual(yield* agent.ended, 0)
      assert.isFalse(existsSync(dir))
      const late = yield* startAgent(dir, [], { env: environment })
      assert.strictEqual(yield* late.ended, 1)
      assert.include(late.output(), "no folder")
    }).pipe(Effect.scoped)
  )

  it.live("says what is wrong and exits with 1 when it may not write where its files belong", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const agents = join(dir, "agents")
      mkdirSync(agents)
      chmodSync(agents, 0o500)
      // To root nothing is read-only: a file in the folder's place refuses everybody.
      if (process.getuid?.() === 0) {
        rmSync(agents, { recursive: true })
        writeFileSync(agents, "")
      }
      const agent = yield* startAgent(dir, [], { env: environment })
      assert.strictEqual(yield* agent.ended, 1)
      assert.include(agent.output(), agents)
      assert.notInclude(agent.output(), "    at ")
    }).pipe(Effect.scoped)
  )

  it.live("refuses wrong arguments with exit code 2", () =>
    Effect.gen(function* () {
      const { dir } = yield* temporary
      const agent = yield* startAgent(dir, ["--idle", "soon"], {})
      assert.strictEqual(yield* agent.ended, 2)
      assert.include(agent.output(), "--idle")
    }).pipe(Effect.scoped)
  )
})
