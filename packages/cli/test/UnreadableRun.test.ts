/** One run that cannot be read is its own trouble: the other runs of its folder are found, shown, changed and removed as ever. */
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Journal from "@tracelet/core/Journal"
import * as Retention from "@tracelet/core/Retention"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { describe } from "vitest"
import { now, temporaryFolder, tracelet } from "./support/harness.ts"
import { training, write, writeEnded } from "./support/runs.ts"

const id = (begin: string) => begin.padEnd(32, "0")
const bad = id("aa11")
const day = 86_400

const removeStore = (dir: string) => {
  for (const name of readdirSync(dir)) if (name.startsWith("store.db")) rmSync(join(dir, name))
}

const ways: ReadonlyArray<readonly [string, (dir: string) => void]> = [
  [
    "nothing of its archive is good",
    (dir) => {
      const archive = join(dir, "runs", bad, "journal", "archive.0.tla")
      writeFileSync(archive, readFileSync(archive).fill(7, 100))
    }
  ],
  [
    "a folder lies in the place of a segment",
    (dir) => mkdirSync(join(dir, "runs", bad, "journal", "0123456789abcdef.0.tlj"))
  ]
]

/** Three runs that are over, archived, one of them damaged then, and the store gone. */
const folder = (spoil: (dir: string) => void) =>
  Effect.gen(function* () {
    const dir = yield* temporaryFolder
    yield* writeEnded(dir, { id: bad, name: "damaged", startedAt: now - 90 * day, log: training })
    yield* writeEnded(dir, { id: id("bb22"), name: "old", startedAt: now - 60 * day, log: training })
    yield* writeEnded(dir, { id: id("cc33"), name: "young", log: training })
    const say = (...args: ReadonlyArray<string>) => tracelet(dir, [...args, "--dir", "."])
    yield* say("archive")
    spoil(dir)
    removeStore(dir)
    return { dir, say, runs: () => readdirSync(join(dir, "runs")).toSorted() }
  })

const passedOver = new RegExp(`^tracelet: 1 run cannot be read: ${bad}: could not [^\\n]*\\n$`)

describe.each(ways)("a run that cannot be read: %s", (_, spoil) => {
  it.live("J11.6: keeps no other run from being found, shown, changed and removed", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { say, runs } = yield* folder(spoil)
        // By an id no other run is read; by a name it is passed over.
        for (const query of [id("cc33"), "cc33", "young", "digits/young"]) {
          const shown = yield* say("export", query)
          assert.strictEqual(shown.code, 0, shown.err)
          assert.strictEqual(shown.out.split("\n").length, 4_800 + 6)
          if (query.startsWith("cc33")) assert.strictEqual(shown.err, "")
          else assert.match(shown.err, passedOver)
          assert.strictEqual((yield* say("show", query, "--json")).code, 0)
        }
        assert.strictEqual((yield* say("compare", "young", "old")).code, 0)
        assert.strictEqual((yield* say("tag", "young", "demo=yes")).code, 0)
        assert.strictEqual((yield* say("rename", "young", "younger")).code, 0)
        const listed = yield* say("runs", "--json")
        assert.match(listed.err, passedOver)
        assert.deepStrictEqual(
          JSON.parse(listed.out).map(({ name }: { readonly name: string }) => name),
          ["younger", "old"]
        )
        const unknown = yield* say("show", "never", "--json")
        assert.strictEqual(JSON.parse(unknown.out).error.tag, "RunNotFound")
        assert.strictEqual((yield* say("rm", "bb22", "--yes")).code, 0)
        assert.deepStrictEqual(runs(), [bad, id("cc33")])
      })
    )
  )

  it.live("fails by itself, is named by doctor, and goes with rm --force alone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say, runs } = yield* folder(spoil)
        for (const args of [
          ["export", bad],
          ["show", "aa11"],
          ["compare", "aa11", "young"]
        ]) {
          const { code, out, err } = yield* say(...args, "--json")
          assert.strictEqual(code, 1)
          assert.strictEqual(JSON.parse(out).error.tag, "RunIncomplete", out)
          assert.match(err, /could not /)
        }
        const doctor = yield* say("doctor")
        assert.strictEqual(doctor.code, 1)
        assert.match(doctor.out, new RegExp(`✗ +runs +1 run cannot be read: ${bad}: could not `))
        const refused = yield* say("rm", bad, "--yes", "--json")
        assert.deepStrictEqual([refused.code, JSON.parse(refused.out).error.tag], [1, "RunUnreadable"])
        assert.lengthOf(runs(), 3)
        const removed = yield* say("rm", bad, "--force", "--yes")
        assert.strictEqual(removed.code, 0, removed.err)
        assert.deepStrictEqual(runs(), [id("bb22"), id("cc33")])
        assert.strictEqual((yield* say("runs")).err, "")
        assert.isFalse(existsSync(join(dir, "runs", `.removed-${bad}`)))
      })
    )
  )

  it.live("J12.1: stays when the oldest are removed, and keeps none of them", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { say, runs } = yield* folder(spoil)
        const { code, out, err } = yield* say("prune", "--age", "30d", "--bytes", "1B", "--yes", "--json")
        assert.strictEqual(code, 0, err)
        const { runs: gone, kept } = JSON.parse(out)
        assert.deepStrictEqual(
          gone.map(({ name }: { readonly name: string }) => name),
          ["old", "young"]
        )
        assert.match(kept[0]?.reason, /^it cannot be read: could not /)
        assert.deepStrictEqual(runs(), [bad])
      })
    )
  )

  it.live("J12.1: stays when an agent removes the oldest, and keeps none of them", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, runs } = yield* folder(spoil)
        const journal = yield* Effect.provide(
          Journal.Journal,
          Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)
        )
        const removed = yield* Retention.apply(journal, { age: Duration.days(1) }, () => Effect.succeed(new Map()))
        assert.deepStrictEqual(
          removed.map(({ run }) => run.name),
          ["old"]
        )
        assert.deepStrictEqual(runs(), [bad, id("cc33")])
      })
    )
  )
})

describe("a run that cannot be read and is written", () => {
  it.live("is not removed by rm --force", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* write(dir, { id: bad, end: undefined })
        mkdirSync(join(dir, "runs", bad, "journal", "0123456789abcdef.0.tlj"))
        const { code, out } = yield* tracelet(dir, ["rm", bad, "--force", "--yes", "--json", "--dir", "."])
        assert.deepStrictEqual([code, JSON.parse(out).error.tag], [1, "RunRunning"])
        assert.isTrue(existsSync(join(dir, "runs", bad)))
      })
    )
  )

  it.live(
    "J11.6: is named where its archive was cut off before the first segment, and passes for no empty folder",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { say } = yield* folder((dir) => truncateSync(join(dir, "runs", bad, "journal", "archive.0.tla"), 100))
          assert.include((yield* say("runs")).err, bad)
          assert.strictEqual((yield* say("show", bad)).code, 1)
          assert.notInclude((yield* say("doctor")).out, "none has begun")
        })
      )
  )
})
