import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Output from "../src/Output.ts"
import { listening, startAgent, startWriter, stored, temporary, until } from "./agentProcess.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { local, lockDelivery, missing, training, write, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Archived))

const id = "aa11".padEnd(32, "0")
const other = "bb22".padEnd(32, "0")

/** Names in a run's journal folder. */
const files = (dir: string, run: string) => readdirSync(join(dir, "runs", run, "journal")).toSorted()

const isArchived = (dir: string, run: string) => files(dir, run).join() === "archive.0.tla"

const error = (out: string) => JSON.parse(out).error

describe("tracelet archive", () => {
  it.live("J11.2, J11.3: compresses what is over and delivered, and every command reads it as before", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        yield* writeEnded(dir, { id: other, name: "elsewhere", backends: [local, missing], log: training })
        yield* write(dir, { id: "cc33".padEnd(32, "0"), name: "alive", end: undefined })
        const byHand = { env: { TRACELET_ARCHIVE: "no" } }
        const say = (...args: ReadonlyArray<string>) => tracelet(dir, [...args, "--dir", "."], byHand)
        const shown = ["show baseline --ascii", "export baseline", "runs --json", "status --json", "sync baseline"]
        yield* say("runs")
        const before = yield* Effect.forEach(shown, (line) => say(...line.split(" ")))
        const { code, out, err } = yield* tracelet(dir, ["archive", "--json", "--dir", "."])
        assert.deepStrictEqual([code, err], [0, ""])
        const { runs } = yield* decode(out)
        assert.deepStrictEqual(
          runs
            .map(({ name, state, reason }) => ({ name, state, reason }))
            .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
          [
            { name: "alive", state: "kept", reason: "it is still written to" },
            { name: "baseline", state: "archived", reason: undefined },
            { name: "elsewhere", state: "kept", reason: "nowhere has not confirmed all of it" }
          ]
        )
        const one = runs.find(({ name }) => name === "baseline")
        assert.isBelow(one?.bytesAfter ?? 0, (one?.bytesBefore ?? 0) / 3)
        assert.isTrue(isArchived(dir, id))
        assert.deepStrictEqual(yield* Effect.forEach(shown, (line) => say(...line.split(" "))), before)
        assert.include((yield* say("archive")).out, "Nothing was to archive.")
        const refused = yield* tracelet(dir, ["archive", "elsewhere", "--json", "--dir", "."])
        assert.deepStrictEqual([refused.code, error(refused.out).tag], [1, "NotArchived"])
        assert.include(refused.err, "nowhere has not confirmed all of it")
        // A change comes as a writer of its own (J11.5).
        assert.strictEqual((yield* say("rename", "baseline", "best")).code, 0)
        assert.strictEqual(files(dir, id).filter((name) => name.endsWith(".tlj")).length, 1)
        assert.include((yield* say("archive", "best")).out, "Archived 1 run")
        assert.deepStrictEqual(files(dir, id), ["archive.1.tla"])
        assert.include((yield* say("show", "best", "--ascii")).out, "best")
      })
    )
  )

  it.live("waits a moment for who delivers the run, and then says so", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        yield* tracelet(dir, ["runs", "--dir", "."])
        yield* lockDelivery(dir, id)
        const { code, err } = yield* tracelet(dir, ["archive", id, "--dir", "."])
        assert.strictEqual(code, 1)
        assert.include(err, "another process delivers it")
        assert.isFalse(isArchived(dir, id))
      })
    )
  )

  it.live("J11.6: says which archive is damaged beyond reading, and goes on with the other runs", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        yield* writeEnded(dir, { id: other, name: "second", log: training })
        const say = (...args: ReadonlyArray<string>) => tracelet(dir, [...args, "--dir", "."])
        yield* say("archive")
        const path = join(dir, "runs", id, "journal", "archive.0.tla")
        writeFileSync(path, readFileSync(path).fill(7, 100))
        const runs = yield* say("runs", "--json")
        assert.strictEqual(runs.code, 0, runs.err)
        assert.match(runs.err, /could not read the archive .*aa11.*neither of its indexes is good/)
        // What the store has of it is shown.
        assert.deepStrictEqual(
          JSON.parse(runs.out).map(({ name, points }: { readonly name: string; readonly points: number }) => [
            name,
            points
          ]),
          [
            ["baseline", 4_800],
            ["second", 4_800]
          ]
        )
        assert.strictEqual((yield* say("show", "second", "--ascii")).code, 0)
        yield* writeEnded(dir, { id: "cc33".padEnd(32, "0"), name: "third", log: training })
        const synced = yield* say("sync", "--json")
        assert.strictEqual(synced.code, 3, synced.err)
        assert.match(JSON.parse(synced.out).unread[0].reason, /could not read the archive/)
        assert.deepStrictEqual(
          JSON.parse(synced.out).runs.map(({ name }: { readonly name: string }) => name),
          ["third"]
        )
        for (const name of readdirSync(dir)) if (name.startsWith("store.db")) rmSync(join(dir, name))
        const rebuilt = yield* say("runs", "--json")
        assert.strictEqual(rebuilt.code, 0, rebuilt.err)
        assert.strictEqual(JSON.parse(rebuilt.out).length, 2)
        assert.include(rebuilt.err, "could not read the archive")
      })
    )
  )

  it.live("sync archives what it has delivered, unless it is told not to", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        yield* writeEnded(dir, { id: other, name: "second", log: training })
        yield* tracelet(dir, ["sync", id, "--dir", "."], { env: { TRACELET_ARCHIVE: "off" } })
        yield* tracelet(dir, ["sync", other, "--dir", "."])
        assert.isFalse(isArchived(dir, id))
        assert.isTrue(isArchived(dir, other))
        const odd = yield* tracelet(dir, ["sync", "--dir", "."], { env: { TRACELET_ARCHIVE: "nope" } })
        assert.include(odd.err, 'TRACELET_ARCHIVE="nope" was taken for on: on or off is wanted.\n')
      })
    )
  )
})

describe("an agent", { timeout: 60_000 }, () => {
  it.live("A10: archives what it has delivered a while later, and what it finds done, but not when told not to", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      const found = "found000"
      const told = "told0000"
      for (const run of [found, told]) {
        const writer = yield* startWriter(dir, run, 1_000)
        writer.child.stdin?.end()
        yield* writer.ended
        const quiet = { env: { ...environment, TRACELET_ARCHIVE: "off" } }
        const agent = yield* startAgent(dir, ["--idle", run === told ? "7" : "0.5"], quiet)
        assert.strictEqual(yield* agent.ended, 0, agent.output())
        assert.isFalse(isArchived(dir, run))
      }
      const own = "own00000"
      const agent = yield* startAgent(dir, ["--idle", "9"], { env: environment })
      yield* listening(dir)
      const writer = yield* startWriter(dir, own, 1_000)
      writer.child.stdin?.end()
      yield* until(Effect.sync(() => [found, told, own].every((run) => isArchived(dir, run))))
      for (const run of [found, told, own]) assert.isTrue(isArchived(dir, run), run)
      assert.strictEqual((yield* stored(dir, own)).points?.count, 1_000)
      agent.child.kill("SIGTERM")
      assert.strictEqual(yield* agent.ended, 0)
    }).pipe(Effect.scoped)
  )
})
