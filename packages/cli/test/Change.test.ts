import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { RunId } from "@tracelet/core/Run"
import * as Output from "../src/Output.ts"
import * as fakeAgent from "./support/fakeAgent.ts"
import { golden, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, write, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(Output.Run)))

const id = "aa11".padEnd(32, "0")

const removeStore = (dir: string): void => {
  for (const name of ["store.db", "store.db-wal", "store.db-shm"]) rmSync(join(dir, name), { force: true })
}

/** What `runs` and look-up say, with the store as it is and then built again from the journals. */
const twice = <A, E>(dir: string, look: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const first = yield* look
    removeStore(dir)
    return [first, yield* look] as const
  })

const runOf = (dir: string, query: string) =>
  Effect.map(tracelet(dir, ["show", query, "--json", "--dir", "."]), ({ out }) => {
    const { name, tags, status, endedAt, backends, error } = JSON.parse(out)
    return { name, tags, status, endedAt, state: backends?.local.state, error: error?.tag }
  })

describe("tracelet tag", () => {
  it.live("sets tags and takes them away, in the journal, and leaves the run closed as it was", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, tags: { demo: "", owner: "me" }, log: training })
        const before = yield* runOf(dir, "baseline")
        const set = yield* tracelet(dir, ["tag", "baseline", "keep", "note=a=b", "owner=you", "--dir", "."])
        assert.deepStrictEqual([set.code, set.err], [0, ""])
        assert.strictEqual(set.out, "baseline (aa110000): tags demo, keep, note=a=b, owner=you\n")
        const taken = yield* tracelet(dir, ["tag", id, "--remove", "demo", "--remove", "keep", "--json", "--dir", "."])
        assert.strictEqual(taken.code, 0, taken.err)
        assert.deepStrictEqual((yield* decode(taken.out)).tags, { note: "a=b", owner: "you" })
        for (const run of yield* twice(dir, runOf(dir, "baseline"))) {
          assert.deepStrictEqual(run, { ...before, tags: { note: "a=b", owner: "you" } })
        }
        const lines = (yield* tracelet(dir, ["export", id, "--dir", "."])).out.split("\n")
        assert.deepStrictEqual(
          lines.filter((line) => line.includes('"kind":"tag"')),
          ['{"kind":"tag","key":"note","value":"a=b"}', '{"kind":"tag","key":"owner","value":"you"}']
        )
      })
    )
  )

  it.live("writes nothing for a tag that is not there, and says so", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        const { code, out, err } = yield* tracelet(dir, ["tag", id, "--remove", "demo", "--dir", "."])
        assert.deepStrictEqual([code, err], [0, "tracelet: baseline has no tag demo.\n"])
        assert.strictEqual(out, "baseline (aa110000): no tags\n")
        assert.strictEqual(
          readdirSync(join(dir, "runs", id, "journal")).filter((name) => name.endsWith("tlj")).length,
          1
        )
      })
    )
  )

  const wrong: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["nothing to do", []],
    ["=x has no key", ["=x"]],
    ["no name at all", ["--remove", ""]],
    ["set and removed", ["a=1", "--remove", "a"]],
    ["too long", ["x".repeat(1_025)]]
  ]
  it.live.each(wrong)("exits 2 for %s", ([, args]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const { code, out, err } = yield* tracelet(dir, ["tag", "baseline", ...args, "--json", "--dir", "."])
        assert.strictEqual(code, 2)
        assert.strictEqual(JSON.parse(out).error.tag, "UsageError")
        assert.match(err, /^tracelet: [^\n]*\.\n$/)
      })
    )
  )

  it.live("may be done to a running run, which goes on running", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* write(dir, { id, end: undefined, log: training })
        const { code, out } = yield* tracelet(dir, ["tag", "baseline", "keep", "--json", "--dir", "."])
        assert.strictEqual(code, 0)
        const run = yield* decode(out)
        assert.deepStrictEqual([run.status, run.tags], ["running", { keep: "" }])
      })
    )
  )

  it.live("has the agent deliver it where one is running", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        yield* tracelet(dir, ["sync", "--dir", "."])
        const agent = yield* fakeAgent.start(dir, (run) => ({
          id: RunId.make(run),
          status: "finished",
          drained: true,
          backends: { local: { delivered: 1, pending: 0, deadLetter: 0, state: "done" } }
        }))
        assert.strictEqual((yield* tracelet(dir, ["tag", id, "keep", "--dir", "."])).code, 0)
        assert.include(agent.requests, "POST /v1/runs")
      })
    )
  )

  it.live("says where it is not yet, and how it gets there", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, backends: [local, missing] })
        const { code, err } = yield* tracelet(dir, ["tag", id, "keep", "--dir", "."])
        assert.strictEqual(code, 0)
        assert.strictEqual(
          err,
          "tracelet: The change is kept, and not everywhere yet: nowhere (1 event to go). `tracelet sync` delivers it.\n"
        )
      })
    )
  )

  it.live("refuses a run whose journals are gone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        yield* tracelet(dir, ["runs", "--dir", "."])
        rmSync(join(dir, "runs"), { recursive: true })
        const { code, out } = yield* tracelet(dir, ["tag", id, "keep", "--json", "--dir", "."])
        assert.deepStrictEqual([code, JSON.parse(out).error.tag], [1, "JournalGone"])
      })
    )
  )
})

describe("tracelet rename", () => {
  it.live("gives a run another name, by which it is found, also in a store that is built again", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        const first = yield* tracelet(dir, ["rename", "baseline", "名前 ✨", "--dir", "."])
        assert.deepStrictEqual(first, { code: 0, out: "名前 ✨ (aa110000) was called baseline.\n", err: "" })
        const second = yield* tracelet(dir, ["rename", "digits/名前 ✨", "final", "--json", "--dir", "."])
        yield* golden("rename-json", second.out)
        assert.strictEqual((yield* decode(second.out)).name, "final")
        for (const run of yield* twice(dir, runOf(dir, "digits/final"))) {
          assert.deepInclude(run, { name: "final", status: "finished", state: "done", error: undefined })
        }
        for (const run of yield* twice(dir, runOf(dir, "baseline"))) assert.strictEqual(run.error, "RunNotFound")
        const line = (yield* tracelet(dir, ["export", "final", "--dir", "."])).out.split("\n")[0] ?? ""
        assert.strictEqual(JSON.parse(line).name, "final")
        const again = yield* tracelet(dir, ["rename", "final", "final", "--dir", "."])
        assert.strictEqual(again.out, "final (aa110000) was called that already.\n")
      })
    )
  )

  it.live("may be done to a running run, and refuses what is no name", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* write(dir, { id, end: undefined, log: training })
        const { code, out } = yield* tracelet(dir, ["rename", "baseline", "better", "--json", "--dir", "."])
        assert.strictEqual(code, 0)
        const run = yield* decode(out)
        assert.deepStrictEqual([run.status, run.name], ["running", "better"])
        const wrong = yield* tracelet(dir, ["rename", "better", "", "--dir", "."])
        assert.deepStrictEqual([wrong.code, wrong.out], [2, ""])
        assert.strictEqual((yield* runOf(dir, "better")).name, "better")
      })
    )
  )
})
