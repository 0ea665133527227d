/**
 * `tracelet agent start` and `stop` with a real agent: one process, started as a user would.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import * as Output from "../src/Output.ts"
import * as fakeAgent from "./support/fakeAgent.ts"
import { golden, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, write, writeEnded } from "./support/runs.ts"

const decodeStarted = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.AgentStarted))
const decodeStopped = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.AgentStopped))

const id = "aa11".padEnd(32, "0")

describe("tracelet agent start and stop", { timeout: 30_000 }, () => {
  it.live("start one that answers, leave it alone when it is there, and send it away for good", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const runtime = join(dir, "runtime")
        mkdirSync(runtime)
        const env = { ...process.env, XDG_RUNTIME_DIR: runtime }
        yield* writeEnded(dir, { id, backends: [local, missing], log: training })
        yield* write(dir, { id: "bb22".padEnd(32, "0"), name: "live", end: undefined })
        const command = (...args: ReadonlyArray<string>) => tracelet(dir, ["agent", ...args, "--dir", "."], { env })
        const started = yield* command("start", "--idle", "20s", "--json")
        assert.strictEqual(started.code, 0, started.err)
        const { agent, log, started: isNew } = yield* decodeStarted(started.out)
        yield* Effect.addFinalizer(() =>
          Effect.map(AgentAddress.read(dir), (address) => {
            if (address?.pid === agent.pid) process.kill(agent.pid, "SIGKILL")
          })
        )
        assert.isTrue(isNew)
        assert.isTrue(existsSync(log))
        const again = yield* command("start", "--json")
        assert.deepInclude(yield* decodeStarted(again.out), { started: false, log })
        assert.strictEqual((yield* decodeStarted(again.out)).agent.pid, agent.pid)
        const words = yield* command("start")
        assert.strictEqual(words.out, `An agent is running already (pid ${agent.pid}). Its log is ${log}.\n`)
        const stopped = yield* command("stop")
        assert.deepStrictEqual([stopped.code, stopped.err], [0, ""])
        yield* golden("agent-stop", stopped.out.replace(String(agent.pid), "<pid>"))
        assert.throws(() => process.kill(agent.pid, 0))
        const none = yield* decodeStopped((yield* command("stop", "--json")).out)
        assert.deepInclude(none, { stopped: false, running: 1 })
        assert.deepInclude(none.backends["nowhere"], { pending: 4_801, runs: 1 })
      })
    )
  )

  it.live("stop one of a folder whose runs cannot be read, and say so", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const command = (...args: ReadonlyArray<string>) => tracelet(dir, ["agent", ...args, "--dir", "."])
        const { agent } = yield* decodeStarted((yield* command("start", "--idle", "20s", "--json")).out)
        yield* Effect.addFinalizer(() =>
          Effect.map(AgentAddress.read(dir), (address) => {
            if (address?.pid === agent.pid) process.kill(agent.pid, "SIGKILL")
          })
        )
        writeFileSync(join(dir, "runs"), "no folder")
        const { code, out, err } = yield* command("stop")
        assert.strictEqual(code, 0, err)
        assert.include(out, `The agent (pid ${agent.pid}) has left.\n`)
        assert.match(out, /What is undelivered is kept, and how much it is cannot be told now: could not list .*\.\n$/)
        assert.strictEqual((yield* command("stop")).code, 1)
      })
    )
  )

  it.live("refuse a folder that is not there, and an idle time that is none", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const start = yield* tracelet(dir, ["agent", "start", "--dir", "none", "--json"])
        assert.deepStrictEqual([start.code, JSON.parse(start.out).error.tag], [1, "FolderMissing"])
        assert.isFalse(existsSync(join(dir, "none")))
        assert.strictEqual((yield* tracelet(dir, ["agent", "start", "--idle", "long", "--dir", "."])).code, 2)
        const stop = yield* tracelet(dir, ["agent", "stop", "--dir", "none"])
        assert.strictEqual(stop.out, `No agent is running for ${dir}/none.\nNothing is undelivered.\n`)
      })
    )
  )

  it.live("say why an agent could not be started", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        writeFileSync(join(dir, "agents"), "no folder")
        const { code, out, err } = yield* tracelet(dir, ["agent", "start", "--dir", ".", "--json"])
        assert.deepStrictEqual([code, JSON.parse(out).error.tag], [1, "AgentNotStarted"])
        assert.strictEqual(
          err,
          "tracelet: The agent could not be started: its process ended with code 1. `tracelet sync` delivers without one.\n"
        )
      })
    )
  )

  it.live("leave alone what does not answer as an agent does", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const agent = yield* fakeAgent.start(dir, () => undefined)
        const address = yield* AgentAddress.read(dir)
        const refused = yield* tracelet(dir, ["agent", "stop", "--dir", ".", "--json"])
        assert.deepStrictEqual([refused.code, JSON.parse(refused.out).error.tag], [1, "AgentUnwell"])
        assert.include(refused.err, `Its process is ${address?.pid}`)
        assert.include(agent.requests, "POST /v1/stop")
      })
    )
  )
})
