import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Output from "../src/Output.ts"
import { golden, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, lockDelivery, missing, training, write, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Removed))

const id = "aa11".padEnd(32, "0")
const other = "bb22".padEnd(32, "0")

const names = (dir: string) =>
  Effect.map(tracelet(dir, ["runs", "--json", "--dir", "."]), ({ out }) =>
    JSON.parse(out).map((run: { readonly name: string }) => run.name)
  )

const errorTag = (out: string): string => JSON.parse(out).error.tag

describe("tracelet rm", () => {
  it.live("removes folder and rows of the runs that are meant, and of no others", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: training })
        yield* writeEnded(dir, { id: other, name: "sweep", log: training })
        yield* writeEnded(dir, { id: "cc33".padEnd(32, "0"), name: "kept", log: training })
        mkdirSync(join(dir, "runs", ".removed-zz"), { recursive: true })
        yield* names(dir)
        const { code, out, err } = yield* tracelet(dir, [
          "rm",
          "baseline",
          "bb22",
          "aa11",
          "--yes",
          "--json",
          "--dir",
          "."
        ])
        assert.deepStrictEqual([code, err], [0, ""])
        const { removed } = yield* decode(out)
        assert.deepStrictEqual(
          removed.map(({ name, points, lost, deadLetter }) => ({ name, points, lost, deadLetter })),
          [
            { name: "baseline", points: 4_800, lost: {}, deadLetter: 0 },
            { name: "sweep", points: 4_800, lost: {}, deadLetter: 0 }
          ]
        )
        assert.isAbove(removed[0]?.bytes ?? 0, 100_000)
        assert.deepStrictEqual(readdirSync(join(dir, "runs")), ["cc33".padEnd(32, "0")])
        assert.deepStrictEqual(yield* names(dir), ["kept"])
        const again = yield* tracelet(dir, ["rm", "baseline", "--yes", "--json", "--dir", "."])
        assert.deepStrictEqual([again.code, errorTag(again.out)], [1, "RunNotFound"])
      })
    )
  )

  it.live("asks on a terminal, and takes anything but yes for no", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, log: (writer) => writer.point("loss", 1, 0, undefined, 1) })
        for (const answer of ["", "n", "yesterday"]) {
          const { code, out, err } = yield* tracelet(dir, ["rm", "baseline", "--dir", "."], { answer })
          assert.deepStrictEqual([code, out], [1, ""])
          assert.match(err, /^For good:\n {2}baseline \(aa110000\), 1 point, \d+ B\nRemove it\? \[y\/N\] /)
          assert.match(err, /tracelet: Nothing was removed\.\n$/)
        }
        const yes = yield* tracelet(dir, ["rm", "baseline", "--dir", "."], { answer: " Yes" })
        assert.strictEqual(yes.code, 0)
        assert.match(yes.out, /^Removed baseline \(aa110000\), 1 point, \d+ B\.\n$/)
        assert.deepStrictEqual(yield* names(dir), [])
      })
    )
  )

  it.live("does nothing where nobody can be asked, without --yes", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        const { code, out } = yield* tracelet(dir, ["rm", "baseline", "--json", "--dir", "."])
        assert.deepStrictEqual([code, errorTag(out)], [2, "UsageError"])
        assert.deepStrictEqual(yield* names(dir), ["baseline"])
      })
    )
  )

  it.live("refuses a running run, forced or not, and none of the others goes", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        yield* write(dir, { id: other, name: "live", end: undefined, log: training })
        for (const more of [[], ["--force"]]) {
          const { code, out, err } = yield* tracelet(dir, [
            "rm",
            "baseline",
            "live",
            "--yes",
            ...more,
            "--json",
            "--dir",
            "."
          ])
          assert.deepStrictEqual([code, errorTag(out)], [1, "RunRunning"])
          yield* golden("rm-running", err)
        }
        assert.deepStrictEqual((yield* names(dir)).toSorted(), ["baseline", "live"])
      })
    )
  )

  it.live("refuses undelivered events, and says what is lost when it is forced", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, backends: [local, missing], log: training })
        const refused = yield* tracelet(dir, ["rm", "baseline", "--yes", "--json", "--dir", "."])
        assert.deepStrictEqual([refused.code, errorTag(refused.out)], [1, "Undelivered"])
        yield* golden("rm-undelivered", refused.err)
        const asked = yield* tracelet(dir, ["rm", "baseline", "--force", "--dir", "."], { answer: "n" })
        assert.include(asked.err, "; with it is lost: 4,801 events not delivered to nowhere\n")
        const forced = yield* tracelet(dir, ["rm", "baseline", "--force", "--yes", "--dir", "."])
        assert.strictEqual(forced.code, 0)
        assert.include(forced.out, " Lost: 4,801 events not delivered to nowhere.\n")
        assert.deepStrictEqual(yield* names(dir), [])
      })
    )
  )

  it.live("refuses a run that somebody delivers, and takes it when that is over", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        yield* names(dir)
        const rm = tracelet(dir, ["rm", "baseline", "--yes", "--json", "--dir", "."])
        const held = yield* Effect.scoped(Effect.andThen(lockDelivery(dir, id), rm))
        assert.deepStrictEqual([held.code, errorTag(held.out)], [1, "RunInUse"])
        assert.include(held.err, "tracelet agent stop")
        assert.isTrue(existsSync(join(dir, "runs", id)))
        const soon = Effect.scoped(Effect.andThen(lockDelivery(dir, id), Effect.sleep("500 millis")))
        const [, free] = yield* Effect.all([soon, Effect.delay(rm, "100 millis")], { concurrency: 2 })
        assert.strictEqual(free.code, 0)
      })
    )
  )

  it.live("takes what is left of a run in the store, and by force one that cannot be read", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        yield* names(dir)
        rmSync(join(dir, "runs", id), { recursive: true })
        assert.strictEqual((yield* tracelet(dir, ["rm", id, "--yes", "--dir", "."])).code, 0)
        assert.deepStrictEqual(yield* names(dir), [])
        mkdirSync(join(dir, "runs", other, "journal"), { recursive: true })
        writeFileSync(join(dir, "runs", other, "journal", "w.0.tlj"), "no segment")
        const refused = yield* tracelet(dir, ["rm", other, "--yes", "--json", "--dir", "."])
        assert.deepStrictEqual([refused.code, errorTag(refused.out)], [1, "RunUnreadable"])
        assert.strictEqual((yield* tracelet(dir, ["rm", other, "--yes", "--force", "--dir", "."])).code, 0)
        assert.deepStrictEqual(readdirSync(join(dir, "runs")), [])
      })
    )
  )
})
