import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { mkdirSync, writeFileSync } from "node:fs"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import type { RunView } from "@tracelet/bridge-python/AgentApi"
import { RunId } from "@tracelet/core/Run"
import * as Output from "../src/Output.ts"
import * as fakeAgent from "./support/fakeAgent.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, lockDelivery, missing, training, write, writeEnded } from "./support/runs.ts"

const id = "aa11".padEnd(32, "0")

const view = (run: string): RunView => ({
  id: RunId.make(run),
  status: "running",
  drained: false,
  backends: {
    local: { delivered: 4_000, pending: 801, deadLetter: 0, state: "delivering" },
    nowhere: { delivered: 7, pending: 10, deadLetter: 3, state: "waiting", reason: "It is down." }
  }
})

describe("tracelet status", () => {
  it.live("says what is on its way, and that nobody delivers it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, backends: [local, missing], log: training })
        yield* write(dir, { id: "bb".padEnd(32, "0"), end: undefined })
        const { out } = yield* tracelet(dir, ["status", "--dir", "."])
        yield* golden("status", out, dir)
        const json = yield* tracelet(dir, ["status", "--json", "--dir", "."])
        yield* golden("status-json", json.out, dir)
        yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Output.FolderStatus))(json.out)
      })
    )
  )

  it.live("says what would help where a sync alone would not", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const last = Effect.map(tracelet(dir, ["status", "--dir", "."]), ({ out }) => out.trim().split("\n").at(-1))
        yield* writeEnded(dir, { id, log: training })
        assert.strictEqual(yield* last, "Nothing is on its way.")
        yield* writeEnded(dir, {
          id: "bb".padEnd(32, "0"),
          backends: [missing],
          log: (writer) => writer.point("loss", 1, 0, undefined, now)
        })
        assert.strictEqual(
          yield* last,
          "1 event still to go, and none of them can from here: `tracelet sync` delivers them when what is said above is put right, or where the plugin is installed."
        )
        const run = "cc".padEnd(32, "0")
        yield* writeEnded(dir, { id: run, log: training })
        yield* lockDelivery(dir, run)
        assert.match(
          (yield* last) ?? "",
          /^4,802 events still to go; `tracelet sync` delivers 4,801 of them now, the others when /
        )
      })
    )
  )

  it.live("believes the agent on what it delivers elsewhere", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, backends: [local, missing], log: training })
        yield* tracelet(dir, ["runs", "--dir", "."])
        yield* fakeAgent.start(dir, view, [id])
        const { out } = yield* tracelet(dir, ["status", "--dir", "."])
        yield* golden("status-agent", out, dir)
        const runs = JSON.parse((yield* tracelet(dir, ["runs", "--json", "--dir", "."])).out)
        assert.deepStrictEqual(runs[0].backends.nowhere, view(id).backends["nowhere"])
        // The store itself knows better than an agent that said so a moment ago.
        assert.deepInclude(runs[0].backends.local, { delivered: 4_801, pending: 0, state: "done" })
      })
    )
  )
})

describe("tracelet agent status", () => {
  it.live("says whether one is running, and what it has in hand", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const none = yield* tracelet(dir, ["agent", "status", "--dir", "."])
        assert.deepStrictEqual([none.code, none.err], [0, ""])
        yield* golden("agent-status-none", none.out, dir)
        assert.deepStrictEqual(JSON.parse((yield* tracelet(dir, ["agent", "status", "--json", "--dir", "."])).out), {
          dir,
          agent: null
        })
        yield* fakeAgent.start(dir, view, [id])
        yield* golden("agent-status", (yield* tracelet(dir, ["agent", "status", "--dir", "."])).out, dir)
        const json = yield* tracelet(dir, ["agent", "status", "--json", "--dir", "."])
        yield* golden("agent-status-json", json.out, dir)
        yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Output.AgentStatus))(json.out)
      })
    )
  )

  it.live("takes the file of an agent that was killed for none", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const files = AgentAddress.files(dir)
        mkdirSync(files.folder)
        const token = "cd".repeat(32)
        const address = { version: 1, tracelet: "0.1.0", pid: 1, address: `${dir}/gone.sock`, token, startedAt: 1 }
        writeFileSync(files.address, JSON.stringify(address))
        const { code, out } = yield* tracelet(dir, ["agent", "status", "--json", "--dir", "."])
        assert.deepStrictEqual([code, JSON.parse(out).agent], [0, null])
      })
    )
  )
})
