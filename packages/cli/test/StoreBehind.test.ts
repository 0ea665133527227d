/** A store that is there to be read and cannot be written: what a command prints of one run is all of it, or nothing with an error. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe } from "vitest"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { lockDelivery, training, writeEnded } from "./support/runs.ts"

const id = "aa11".padEnd(32, "0")
const other = "bb22".padEnd(32, "0")

const commands = [
  ["export", id],
  ["export", id, "--format", "csv"],
  ["export", id, "--format", "parquet"],
  ["show", id, "--ascii"],
  ["compare", id, other, "--json"]
]

const series = (text: string) => text.slice(Math.max(0, text.search(/Series|"kind":"param"|"series"/)))

const removeStore = (dir: string) => {
  for (const name of readdirSync(dir)) if (name.startsWith("store.db")) rmSync(join(dir, name))
}

/** Two runs, what is printed of them where all is well, and then without the store. */
const folder = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  yield* writeEnded(dir, { id, log: training })
  yield* writeEnded(dir, { id: other, name: "other", log: training })
  const say = (...args: ReadonlyArray<string>) => tracelet(dir, [...args, "--dir", "."])
  const whole = yield* Effect.forEach(commands, (args) => say(...args))
  removeStore(dir)
  return { dir, say, whole }
})

describe("a store that lags and cannot be written", () => {
  const ways: ReadonlyArray<readonly [string, (dir: string) => Effect.Effect<unknown, unknown>]> = [
    [
      "is refused by the disk",
      (dir) => Effect.sync(() => symlinkSync(join(dir, "nowhere", "store.db"), join(dir, "store.db")))
    ],
    [
      "takes a part and then no more",
      (dir) =>
        Effect.gen(function* () {
          yield* tracelet(dir, ["runs", "--dir", "."])
          const database = new DatabaseSync(join(dir, "store.db"))
          database.exec(`DELETE FROM chunk; DELETE FROM tail; DELETE FROM mark; UPDATE run SET closed = 0;
            CREATE TRIGGER full BEFORE INSERT ON mark BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`)
          database.close()
        })
    ]
  ]
  for (const [name, spoil] of ways) {
    it.live(`gives way to the journals: ${name}`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { dir, say, whole } = yield* folder
          yield* spoil(dir)
          for (const [i, args] of commands.entries()) {
            const { code, out, err } = yield* say(...args)
            assert.strictEqual(code, 0, err)
            assert.match(err, /^tracelet: The store lags, so this is what the journals say\. [^\n]+\n$/)
            assert.strictEqual(series(out), series(whole[i]?.out ?? ""), args.join(" "))
          }
        })
      )
    )
  }

  it.live("gives way to the journals: another process has the delivery and is late", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say, whole } = yield* folder
        yield* lockDelivery(dir, id)
        const { code, out, err } = yield* say("export", id)
        assert.strictEqual(code, 0)
        assert.match(err, /^tracelet: The store lags, so this is what the journals say\. [^\n]+\n$/)
        assert.strictEqual(out, whole[0]?.out)
      })
    )
  )

  it.live("fails where the journals cannot be read either, rather than print a part", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say } = yield* folder
        yield* say("archive")
        const archive = join(dir, "runs", id, "journal", "archive.0.tla")
        writeFileSync(archive, readFileSync(archive).fill(7, 100))
        removeStore(dir)
        for (const args of commands) {
          const { code, out, err } = yield* say(...args, ...(args.includes("--json") ? [] : ["--json"]))
          assert.strictEqual(code, 1)
          assert.strictEqual(JSON.parse(out).error.tag, "RunIncomplete", out)
          assert.match(err, /could not read the archive .* How much would be missing cannot be counted\./)
        }
      })
    )
  )

  it.live("says so once, not once a run", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say } = yield* folder
        symlinkSync(join(dir, "nowhere", "store.db"), join(dir, "store.db"))
        const { code, err } = yield* say("runs")
        assert.strictEqual(code, 0)
        assert.match(err, /^tracelet: The store lags: [^\n]+\n$/)
      })
    )
  )
})
