import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { RunView } from "@tracelet/bridge-python/AgentApi"
import { JournalStorage } from "@tracelet/core/JournalStorage"
import { RunId } from "@tracelet/core/Run"
import type { BackendReference } from "@tracelet/core/RunEvent"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { toDuration } from "../src/commands/Sync.ts"
import * as Output from "../src/Output.ts"
import * as fakeAgent from "./support/fakeAgent.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, write, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Sync))

const id = "aa11".padEnd(32, "0")

describe("tracelet sync", () => {
  it.live("delivers what is pending, then has nothing to do, and exits 0 both times", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        const first = yield* tracelet(dir, ["sync", "--json", "--dir", "."])
        assert.strictEqual(first.code, 0)
        const answer = yield* decode(first.out)
        assert.isTrue(answer.drained)
        assert.deepStrictEqual(answer.backends["local"], {
          delivered: 4_801,
          pending: 0,
          deadLetter: 0,
          runs: 0,
          reasons: []
        })
        assert.deepStrictEqual(
          answer.runs.map(({ id: run, status, drained }) => [run, status, drained]),
          [[id, "finished", true]]
        )
        const second = yield* tracelet(dir, ["sync", "--json", "--dir", "."])
        assert.strictEqual(second.code, 0)
        assert.deepStrictEqual(yield* decode(second.out), { drained: true, backends: {}, runs: [] })
        assert.deepStrictEqual((yield* tracelet(dir, ["sync", "--dir", "."])).out, "Nothing was to deliver.\n")
      })
    )
  )

  it.live("removes the folders of runs that never began, once they are old and nobody holds them", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        const begun = (run: string, age: number, ...names: ReadonlyArray<string>) => {
          const journal = join(dir, "runs", run, "journal")
          mkdirSync(journal, { recursive: true })
          for (const name of names) writeFileSync(join(journal, name), "")
          utimesSync(journal, now - age, now - age)
        }
        begun("old", 4_000, "w1.lock.tmp")
        begun("older", 4_000, "w1.lock", "w1.0.tlj.8f0c.tmp")
        begun("young", 3_000, "w1.lock.tmp")
        begun("strange", 4_000, "notes.txt")
        // A segment that is there counts, whatever is in it.
        begun("damaged", 4_000, "w1.0.tlj")
        begun("held", 4_000)
        const storage = yield* JournalStorage
        yield* storage.lock(join(dir, "runs", "held", "journal", "w1.lock"))
        utimesSync(join(dir, "runs", "held", "journal"), now - 4_000, now - 4_000)

        const runs = yield* tracelet(dir, ["runs", "--dir", "."])
        assert.strictEqual(runs.err, "tracelet: 1 run without a readable record of its start: damaged\n")
        const doctor = yield* tracelet(dir, ["doctor", "--dir", "."])
        assert.include(doctor.out, "2 runs, and 5 folders in which none has begun")
        const first = yield* tracelet(dir, ["sync", "--dir", "."])
        assert.include(first.err, "tracelet: Removed 2 folders of runs that never began.\n")
        assert.sameMembers(readdirSync(join(dir, "runs")), [id, "young", "strange", "damaged", "held"])
        assert.notInclude((yield* tracelet(dir, ["sync", "--dir", "."])).err, "Removed")
      })
    ).pipe(Effect.provide(NodePlatform.layer))
  )

  it.live("exits 3 and says why when a backend is not to be had, without waiting for the time-out", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, backends: [local, missing], log: training })
        const [took, { code, out }] = yield* Effect.timed(tracelet(dir, ["sync", "baseline", "--dir", "."]))
        assert.strictEqual(code, 3)
        assert.isBelow(Duration.toMillis(took), 10_000)
        yield* golden("sync-missing", out)
        const json = yield* tracelet(dir, ["sync", "baseline", "--dir", ".", "--json"])
        assert.strictEqual(json.code, 3)
        yield* golden("sync-missing-json", json.out)
      })
    )
  )

  it.live("says of a backend that it has no plugin for what its cursor says, as the other commands do", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const flaky: BackendReference = { name: "flaky", plugin: "backend.flaky", version: "1", config: {} }
        yield* writeEnded(dir, { id, backends: [local, flaky, missing], log: training })
        yield* tracelet(dir, ["sync", "--dir", "."])
        // As the app leaves it that had the plugin: the same marks as the store's, and closed.
        const cursors = join(dir, "runs", id, "cursors")
        const cursor = JSON.parse(readFileSync(join(cursors, "local.json"), "utf8"))
        const save = (closed: boolean, counts: {}) =>
          writeFileSync(join(cursors, "flaky.json"), JSON.stringify({ ...cursor, backend: "flaky", closed, counts }))
        const said = Effect.gen(function* () {
          const [sync, status, runs, show] = yield* Effect.all(
            [["sync", id], ["status"], ["runs"], ["show", id]].map((args) =>
              Effect.map(tracelet(dir, [...args, "--json", "--dir", "."]), ({ out }) => JSON.parse(out))
            )
          )
          assert.deepStrictEqual(sync.runs[0].backends, runs[0].backends)
          assert.deepStrictEqual(show.backends, runs[0].backends)
          assert.deepStrictEqual(sync.backends, status.backends)
          return runs[0].backends
        })
        save(true, cursor.counts)
        assert.deepStrictEqual((yield* said).flaky, { delivered: 4_801, pending: 0, deadLetter: 0, state: "done" })
        save(false, { delivered: 1_000, rejected: 1, filtered: 0 })
        const { flaky: half, nowhere } = yield* said
        assert.deepInclude(half, { delivered: 1_000, pending: 3_800, deadLetter: 1, state: "missing" })
        assert.include(half.reason, "No plugin backend.flaky is installed here.")
        assert.deepInclude(nowhere, { delivered: 0, pending: 4_801, state: "missing" })
      })
    )
  )

  it.live("takes a folder, as a trainer that ends prints it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const home = yield* temporaryFolder
        const dir = join(home, ".tracelet")
        yield* writeEnded(dir, { id, project: "a", name: "b", log: training })
        for (const args of [
          ["sync", dir],
          ["sync", ".tracelet"],
          ["sync", "a/b"],
          ["sync", "./.tracelet"]
        ]) {
          const { code, out } = yield* tracelet(home, [...args, "--json"])
          assert.strictEqual(code, 0, out)
          assert.isTrue((yield* decode(out)).drained)
        }
        assert.strictEqual((yield* tracelet(home, ["sync", "a/c"])).code, 1)
      })
    )
  )

  it.live("leaves a living run's end open, and has it drained", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* write(dir, { id, end: undefined, log: training })
        const { code, out } = yield* tracelet(dir, ["sync", "--json", "--dir", "."])
        assert.strictEqual(code, 0)
        const [run] = (yield* decode(out)).runs
        assert.strictEqual(run?.status, "running")
        assert.strictEqual(run?.backends["local"]?.state, "idle")
      })
    )
  )

  it.live("asks a running agent first, and watches it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        let asked = 0
        const view = (run: string): RunView => {
          asked++
          const delivered = Math.min(4_801, asked * 1_000)
          const isDone = delivered === 4_801
          return {
            id: RunId.make(run),
            status: "finished",
            drained: isDone,
            backends: {
              local: { delivered, pending: 4_801 - delivered, deadLetter: 0, state: isDone ? "done" : "delivering" }
            }
          }
        }
        const agent = yield* fakeAgent.start(dir, view)
        const { code, out, err } = yield* tracelet(dir, ["sync", "--dir", "."], { isErrTerminal: true })
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(agent.requests.slice(0, 3), ["GET /v1/status", "POST /v1/runs", `GET /v1/runs/${id}`])
        assert.strictEqual(asked, 5)
        assert.include(err, "local 2,000 delivered, 2,801 to go")
        assert.isTrue(err.endsWith("\r\u001b[2K"))
        assert.include(out, "All of 1 run is delivered.")
      })
    )
  )

  it.live("waits until a run that is over is closed, when its agent has not noticed yet that it is", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        let asked = 0
        const view = (run: string): RunView => {
          const isClosed = ++asked > 2
          return {
            id: RunId.make(run),
            status: isClosed ? "finished" : "running",
            drained: true,
            backends: { local: { delivered: 4_801, pending: 0, deadLetter: 0, state: isClosed ? "done" : "idle" } }
          }
        }
        yield* fakeAgent.start(dir, view)
        const { code, out } = yield* tracelet(dir, ["sync", "--json", "--dir", "."])
        assert.strictEqual(code, 0, out)
        assert.strictEqual(asked, 3)
      })
    )
  )

  it.live("delivers itself what the agent does not", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        const agent = yield* fakeAgent.start(dir, () => undefined)
        const { code } = yield* tracelet(dir, ["sync", "--dir", "."])
        assert.strictEqual(code, 0)
        assert.include(agent.requests, "POST /v1/runs")
      })
    )
  )

  it.live("has what lanes warn of on stderr, whatever is printed", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        writeFileSync(join(dir, "runs", id, "cursors"), "no folder")
        const { code, out, err } = yield* tracelet(dir, ["sync", "--json", "--dir", "."])
        // The store has all of it, and keeps its marks itself: the file that cannot be written is a copy.
        assert.strictEqual(code, 0)
        assert.match(
          err,
          /^tracelet: local: could not make the folder [^\n]* (?:Trying|It is tried) again by itself\.\n$/
        )
        const [run] = (yield* decode(out)).runs
        assert.deepInclude(run?.backends["local"], { state: "done", pending: 0 })
      })
    )
  )

  it.live("ends at the time-out, and says what is left", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        const view = (run: string): RunView => ({
          id: RunId.make(run),
          status: "finished",
          drained: false,
          backends: { local: { delivered: 1, pending: 4_800, deadLetter: 0, state: "waiting", reason: "It is down." } }
        })
        yield* fakeAgent.start(dir, view)
        const { code, out } = yield* tracelet(dir, ["sync", "--timeout", "500ms", "--json", "--dir", "."])
        assert.strictEqual(code, 3)
        const answer = yield* decode(out)
        assert.isFalse(answer.drained)
        assert.deepStrictEqual(answer.backends["local"]?.reasons, ["It is down."])
      })
    )
  )
})

describe("a length of time", () => {
  it("has a unit, or is in seconds", () => {
    const millis = ["60s", "5m", "1.5h", "500ms", "90", "2 m"].map((text) => Duration.toMillis(toDuration(text)))
    assert.deepStrictEqual(millis, [60_000, 300_000, 5_400_000, 500, 90_000, 120_000])
    for (const text of ["", "soon", "-1s", "1d", "1e3"]) assert.throws(() => toDuration(text))
  })
})
