/** `tracelet sync` says that nothing is left only where nothing is: a store that is gone counts for more than the cursor of it. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import * as Output from "../src/Output.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Sync))

const id = "aa11".padEnd(32, "0")
const other = "bb22".padEnd(32, "0")

const removeStore = (dir: string) => {
  for (const name of readdirSync(dir)) if (name.startsWith("store.db")) rmSync(join(dir, name))
}

/** A run that was delivered, and then its store is gone. */
const folder = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  yield* writeEnded(dir, { id, log: training })
  const say = (...args: ReadonlyArray<string>) => tracelet(dir, [...args, "--dir", "."])
  assert.strictEqual((yield* say("sync")).code, 0)
  assert.include((yield* say("sync")).out, "Nothing was to deliver.")
  removeStore(dir)
  return { dir, say }
})

describe("tracelet sync where something is left", () => {
  it.live("builds a store again that is gone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { say } = yield* folder
        const { code, out } = yield* say("sync", "--json")
        assert.strictEqual(code, 0)
        const { drained, backends } = yield* decode(out)
        assert.isTrue(drained)
        assert.deepInclude(backends["local"], { delivered: 4_801, pending: 0 })
        assert.include((yield* say("sync")).out, "Nothing was to deliver.")
      })
    )
  )

  const ways: ReadonlyArray<readonly [string, (dir: string) => void]> = [
    ["cannot be written", (dir) => symlinkSync(join(dir, "nowhere", "store.db"), join(dir, "store.db"))],
    ["cannot be read", (dir) => writeFileSync(join(dir, "store.db"), "not a database".repeat(100))],
    [
      "is gone, and the delivery cannot be locked",
      (dir) => {
        rmSync(join(dir, "runs", id, "delivery.lock"), { force: true })
        mkdirSync(join(dir, "runs", id, "delivery.lock"))
      }
    ]
  ]
  for (const [name, spoil] of ways) {
    it.live(`exits 3 with the count and the reason: the store ${name}`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { dir, say } = yield* folder
          spoil(dir)
          const { code, out } = yield* say("sync", "--json", "--timeout", "5s")
          assert.strictEqual(code, 3, out)
          const { drained, backends, runs } = yield* decode(out)
          assert.isFalse(drained)
          assert.strictEqual(backends["local"]?.pending, 4_801)
          assert.match(runs[0]?.backends["local"]?.reason ?? "", /ould not/)
          const text = yield* say("sync", "--timeout", "5s")
          assert.strictEqual(text.code, 3)
          assert.match(text.out, /local +0 +4,801 [^]*local: [^\n]*ould not [^]*Something of 1 run is left/)
        })
      )
    )
  }

  it.live("exits 3 and names a run that cannot be read, and delivers the others", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say } = yield* folder
        yield* say("archive")
        const archive = join(dir, "runs", id, "journal", "archive.0.tla")
        writeFileSync(archive, readFileSync(archive).fill(7, 100))
        yield* writeEnded(dir, { id: other, name: "other", log: training })
        const first = yield* say("sync")
        assert.strictEqual(first.code, 3)
        assert.match(
          first.out,
          /All of 1 run is delivered\.\nWhat is left of it is not known: 1 run cannot be read: aa110+: could not read the archive [^\n]*\n$/
        )
        const { code, out } = yield* say("sync", "--json")
        assert.strictEqual(code, 3)
        const { drained, runs, unread } = yield* decode(out)
        assert.deepStrictEqual([drained, runs.length, unread?.map((one) => one.id)], [false, 0, [id]])
        const named = yield* say("sync", id)
        assert.strictEqual(named.code, 3)
        assert.match(named.out, /^What is left of it is not known: 1 run cannot be read: aa110+: could not/)
        assert.strictEqual((yield* say("sync", "other")).code, 0)
      })
    )
  )

  it.live("one run that cannot be delivered keeps no other one", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id, backends: [local, missing], log: training })
        yield* writeEnded(dir, { id: other, name: "other", log: training })
        mkdirSync(join(dir, "runs", id, "delivery.lock"))
        const { code, out } = yield* tracelet(dir, ["sync", "--json", "--dir", "."])
        assert.strictEqual(code, 3)
        const { runs } = yield* decode(out)
        const drainedByName = Object.fromEntries(runs.map((run) => [run.name, run.drained]))
        assert.deepStrictEqual(drainedByName, { baseline: false, other: true })
      })
    )
  )
})
