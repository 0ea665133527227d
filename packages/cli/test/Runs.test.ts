import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Processor from "@tracelet/core/Processor"
import * as Output from "../src/Output.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { deliverThinned, local, lockDelivery, missing, training, write, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(Output.Runs)))

const id = (start: string) => start.padEnd(32, "0")

/** Five runs of every status but stale, the running one alive until the scope closes. */
const folder = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  yield* writeEnded(dir, { id: id("aa11"), startedAt: now - 90_000, tags: { demo: "", owner: "me" }, log: training })
  yield* writeEnded(dir, { id: id("bb22"), name: "sweep-1", end: "failed", backends: [local, missing] })
  yield* writeEnded(dir, { id: id("cc33"), name: "名前 ✨", project: "vision", end: undefined, startedAt: now - 1_800 })
  yield* writeEnded(dir, { id: id("aa44"), name: "baseline", startedAt: now - 7_200, backends: [] })
  yield* write(dir, {
    id: id("dd55"),
    name: "live",
    end: undefined,
    startedAt: now - 75,
    log: (writer) => writer.point("loss", 1, undefined, undefined, now - 1)
  })
  return dir
})

describe("tracelet runs", () => {
  it.live("prints a table, newest first, with what is on its way", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const { code, out, err } = yield* tracelet(dir, ["runs", "--dir", "."])
        assert.strictEqual(err, "")
        assert.strictEqual(code, 0)
        yield* golden("runs", out)
        const narrow = yield* tracelet(dir, ["runs", "--dir", "."], { columns: 80 })
        assert.isTrue(narrow.out.split("\n").every((line) => line.length <= 80))
        yield* golden("runs-80", narrow.out)
      })
    )
  )

  it.live("prints JSON of the shape that the contract gives", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const { out } = yield* tracelet(dir, ["runs", "--json", "--dir", "."])
        yield* golden("runs-json", out)
        const runs = yield* decode(out)
        assert.deepStrictEqual(
          runs.map(({ name, status, endedAt }) => [name, status, endedAt === null]),
          [
            ["live", "running", true],
            ["名前 ✨", "killed", false],
            ["sweep-1", "failed", false],
            ["baseline", "finished", false],
            ["baseline", "finished", false]
          ]
        )
      })
    )
  )

  it.live("chooses by project, status, tag and number", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const names = (...args: ReadonlyArray<string>) =>
          Effect.map(tracelet(dir, ["runs", "--json", "--dir", ".", ...args]), ({ out }) =>
            JSON.parse(out).map((run: { readonly id: string }) => run.id.slice(0, 4))
          )
        assert.deepStrictEqual(yield* names("--project", "vision"), ["cc33"])
        assert.deepStrictEqual(yield* names("--status", "failed"), ["bb22"])
        assert.deepStrictEqual(yield* names("--tag", "demo"), ["aa11"])
        assert.deepStrictEqual(yield* names("--tag", "owner=me"), ["aa11"])
        assert.deepStrictEqual(yield* names("--tag", "owner=you"), [])
        assert.deepStrictEqual(yield* names("--limit", "2"), ["dd55", "cc33"])
        assert.deepStrictEqual(yield* names("--sort", "oldest", "--limit", "2"), ["aa11", "aa44"])
        assert.deepStrictEqual(yield* names("--sort", "name"), ["aa44", "aa11", "dd55", "bb22", "cc33"])
        const none = yield* tracelet(dir, ["runs", "--tag", "owner=you", "--dir", "."])
        assert.include(none.out, "None of the 5 runs")
      })
    )
  )

  it.live("builds the store anew when it is gone, and sees what a late writer adds", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const points = Effect.map(
          tracelet(dir, ["runs", "--json", "--dir", "."]),
          ({ out }) => JSON.parse(out)[0].points
        )
        const run = {
          id: id("aa11"),
          log: (writer: { point: (name: string, value: number, step: number, context: {}, time: number) => void }) =>
            writer.point("loss", 1, 0, {}, now)
        }
        yield* writeEnded(dir, run)
        assert.strictEqual(yield* points, 1)
        for (const name of ["store.db", "store.db-wal", "store.db-shm"]) rmSync(join(dir, name), { force: true })
        assert.strictEqual(yield* points, 1)
        yield* writeEnded(dir, run)
        assert.strictEqual(yield* points, 2)
        const cursor = JSON.parse(readFileSync(join(dir, "runs", run.id, "cursors", "local.json"), "utf8"))
        assert.isTrue(cursor.closed)
      })
    )
  )

  it.live("counts points as captured where the store was given less, which an export says", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id: id("aa11"), log: training })
        yield* deliverThinned(dir, id("aa11"), Processor.keep("val/.*"))
        const [run] = yield* decode((yield* tracelet(dir, ["runs", "--json", "--dir", "."])).out)
        assert.strictEqual(run?.points, 4_800)
        assert.deepInclude(run?.backends["local"], { pending: 0, state: "done" })
        const { out, err } = yield* tracelet(dir, ["export", "aa11", "--dir", "."])
        assert.strictEqual(out.match(/"kind":"point"/g)?.length, 400)
        assert.match(err, /^tracelet: The local store holds only what its route or its processors let through[^\n]*\n$/)
      })
    )
  )

  it.live("brings a run into the store that names no store, and says nothing of one", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id: id("aa11"), backends: [missing], log: training })
        const [run] = yield* decode((yield* tracelet(dir, ["runs", "--json", "--dir", "."])).out)
        assert.strictEqual(run?.points, 4_800)
        assert.deepStrictEqual(Object.keys(run?.backends ?? {}), ["nowhere"])
        assert.deepInclude(run?.backends["nowhere"], { delivered: 0, pending: 4_801, deadLetter: 0, state: "missing" })
      })
    )
  )

  it.live("waits a moment for whoever delivers a run, then shows what there is and says so", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id: id("aa11"), log: training })
        yield* lockDelivery(dir, id("aa11"))
        const [took, { code, out, err }] = yield* Effect.timed(tracelet(dir, ["runs", "--json", "--dir", "."]))
        assert.strictEqual(code, 0)
        assert.isBelow(Duration.toMillis(took), 5_000)
        assert.include(err, "1 run is still on the way into the store")
        const [run] = yield* decode(out)
        assert.deepInclude(run, { name: "baseline", points: 4_800, status: "finished" })
        assert.deepInclude(run?.backends["local"], { delivered: 0, pending: 4_801, state: "idle" })
      })
    )
  )

  it.live("shows what the journals say when the store cannot be read, and how it is built again", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id: id("aa11"), backends: [local, missing], log: training })
        const commands = [
          ["show", "aa11"],
          ["export", "aa11"],
          ["compare", "aa11", "bb22"],
          ["show", "aa11", "--json"]
        ]
        yield* writeEnded(dir, { id: id("bb22"), name: "other", log: training })
        const inStore = yield* Effect.forEach(commands, (args) => tracelet(dir, [...args, "--dir", "."]))
        const cursors = () => readFileSync(join(dir, "runs", id("aa11"), "cursors", "local.json"), "utf8")
        const cursor = cursors()
        for (const damage of [
          () => writeFileSync(join(dir, "store.db"), "not a database, whatever it was".repeat(100)),
          () => mkdirSync(join(dir, "store.db"))
        ]) {
          for (const name of ["store.db", "store.db-wal", "store.db-shm"]) rmSync(join(dir, name), { force: true })
          damage()
          for (const [i, args] of commands.entries()) {
            const { code, out, err } = yield* tracelet(dir, [...args, "--dir", "."])
            assert.strictEqual(code, 0)
            assert.match(
              err,
              /^tracelet: The store cannot be read, so this is what the journals say\. Could not [^\n]*\n$/
            )
            // All is there but that the store has it.
            const series = (text: string) => text.slice(text.search(/Series|"kind":"param"|differ|"params"/))
            assert.strictEqual(series(out), series(inStore[i]?.out ?? ""))
          }
          const { out, err } = yield* tracelet(dir, ["runs", "--json", "--dir", "."])
          const [run] = yield* decode(out)
          assert.deepInclude(run, { name: "baseline", status: "finished", points: 4_800 })
          assert.deepInclude(run?.backends["local"], { delivered: 0, pending: 4_801, state: "held" })
          assert.include(err, run?.backends["local"]?.reason ?? "no reason")
          assert.include((yield* tracelet(dir, ["status", "--dir", "."])).out, "✗  local")
          assert.strictEqual((yield* tracelet(dir, ["sync", "aa11", "--dir", "."])).code, 3)
        }
        assert.strictEqual(cursors(), cursor)
      })
    )
  )

  it.live(
    "shows what the journals say when the store cannot be written, and names a run whose start cannot be read",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const dir = yield* temporaryFolder
          yield* writeEnded(dir, { id: id("aa11"), log: training })
          writeFileSync(join(dir, "runs", id("aa11"), "cursors"), "no folder")
          for (const run of ["new", "damaged"]) mkdirSync(join(dir, "runs", run, "journal"), { recursive: true })
          writeFileSync(join(dir, "runs", "damaged", "journal", "aaaa.0.tlj"), Buffer.alloc(4_096))
          const { code, out, err } = yield* tracelet(dir, ["runs", "--json", "--dir", "."])
          assert.strictEqual(code, 0)
          assert.include(err, "tracelet: The store lags: could not")
          assert.include(err, "tracelet: 1 run without a readable record of its start: damaged\n")
          assert.deepInclude((yield* decode(out))[0], { name: "baseline", status: "finished", points: 4_800 })
        })
      )
  )
})
