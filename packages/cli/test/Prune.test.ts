import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Output from "../src/Output.ts"
import { retention } from "../src/Settings.ts"
import { startAgent, stored, temporary } from "./agentProcess.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, write, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Pruned))

const id = (begin: string) => begin.padEnd(32, "0")
const day = 86_400

/** An old run, a young one, and two old ones that may not go. */
const folder = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  yield* writeEnded(dir, { id: id("aa11"), name: "old", startedAt: now - 40 * day, log: training })
  yield* writeEnded(dir, { id: id("bb22"), name: "young", startedAt: now - day })
  yield* writeEnded(dir, { id: id("cc33"), name: "kept", startedAt: now - 50 * day, backends: [local, missing] })
  yield* write(dir, { id: id("dd44"), name: "alive", startedAt: now - 60 * day, end: undefined })
  const say = (...args: ReadonlyArray<string>) => tracelet(dir, [...args, "--dir", "."])
  yield* say("archive")
  return { dir, say, runs: () => readdirSync(join(dir, "runs")).toSorted() }
})

describe("tracelet prune", () => {
  it.live("J12.1, J12.2: shows what would go and what stays, and removes nothing", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say, runs } = yield* folder
        const { code, out, err } = yield* say("prune", "--age", "30d")
        assert.deepStrictEqual([code, err], [0, ""])
        yield* golden("prune", out.replace(/\d+ (k?B)/g, "N $1").replace(/\d+\.\d (k?B)/g, "N $1"), dir)
        assert.strictEqual(runs().length, 4)
        const asked = yield* tracelet(dir, ["prune", "--age", "30d", "--dir", "."], { answer: "n", columns: 80 })
        assert.strictEqual(asked.code, 1)
        assert.include(asked.err, "Remove them? [y/N]")
        assert.strictEqual(runs().length, 4)
      })
    )
  )

  it.live("takes plain bytes, and clears what one left that was killed", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say } = yield* folder
        const left = join(dir, "removed", `${id("ee55")}.json.0123456789abcdef.tmp`)
        mkdirSync(join(dir, "removed"))
        writeFileSync(left, "{")
        const { code, out } = yield* say("prune", "--bytes", "1", "--yes", "--json")
        assert.strictEqual(code, 0)
        assert.strictEqual((yield* decode(out)).runs.length, 2)
        assert.isFalse(existsSync(left))
        assert.strictEqual(readdirSync(join(dir, "removed")).length, 2)
      })
    )
  )

  it.live("J12.4: removes runs and rows with --yes; who asks for one later is told what it was", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, say, runs } = yield* folder
        const { code, out } = yield* say("prune", "--age", "30d", "--yes", "--json")
        assert.strictEqual(code, 0)
        const { removed, runs: gone, kept } = yield* decode(out)
        assert.isTrue(removed)
        assert.deepStrictEqual(
          gone.map(({ name, why }) => ({ name, why })),
          [{ name: "old", why: "age" }]
        )
        assert.deepStrictEqual(kept.map(({ name }) => name).toSorted(), ["kept"])
        assert.deepStrictEqual(runs(), [id("bb22"), id("cc33"), id("dd44")])
        assert.isUndefined((yield* stored(dir, id("aa11"))).status)
        assert.notInclude((yield* say("runs")).out, "old")
        for (const args of [
          ["show", "old"],
          ["export", "aa11"],
          ["sync", "digits/old"]
        ]) {
          const refused = yield* say(...args, "--json")
          assert.strictEqual(refused.code, 1)
          assert.strictEqual(JSON.parse(refused.out).error.tag, "RunRemoved")
          assert.match(
            refused.err,
            /Run old \(aa110000\) was removed on 2026-11-24T12:00:00.000Z by retention on .* \(age\)\. It had 4,800 points; taken before: 4,801 events by local\./
          )
        }
        const unknown = yield* say("show", "never", "--json")
        assert.strictEqual(JSON.parse(unknown.out).error.tag, "RunNotFound")
      })
    )
  )

  it.live("takes the policy from the environment, and refuses to guess", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, runs } = yield* folder
        const say = (env: { readonly [key: string]: string }, ...args: ReadonlyArray<string>) =>
          tracelet(dir, ["prune", ...args, "--dir", "."], { env })
        assert.strictEqual((yield* say({})).code, 2)
        const wrong = yield* say({ TRACELET_RETENTION_AGE: "30" }, "--yes")
        assert.deepStrictEqual([wrong.code, wrong.err.includes('"30" is no age: write 12h, 30d or 8w')], [2, true])
        assert.strictEqual((yield* say({}, "--bytes", "lots")).code, 2)
        assert.strictEqual(runs().length, 4)
        yield* say({ TRACELET_RETENTION_BYTES: "0B" }, "--yes")
        assert.deepStrictEqual(runs(), [id("cc33"), id("dd44")])
        assert.deepStrictEqual(retention({}), {})
      })
    )
  )
})

describe("an agent", { timeout: 60_000 }, () => {
  it.live("A11: removes what its environment says, and nothing else by itself", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      yield* writeEnded(dir, { id: id("aa11"), name: "old", startedAt: now - 40 * day, log: training })
      yield* writeEnded(dir, { id: id("cc33"), name: "kept", startedAt: now - 50 * day, backends: [local, missing] })
      const serve = (env: { readonly [key: string]: string }) =>
        Effect.gen(function* () {
          const agent = yield* startAgent(dir, ["--idle", "4"], { env: { ...environment, ...env } })
          assert.strictEqual(yield* agent.ended, 0, agent.output())
          return agent.output()
        })
      yield* serve({})
      assert.include(
        yield* serve({ TRACELET_RETENTION_AGE: "soon" }),
        '"soon" is no age: write 12h, 30d or 8w (--age, TRACELET_RETENTION_AGE)'
      )
      assert.strictEqual(readdirSync(join(dir, "runs")).length, 2)
      yield* serve({ TRACELET_RETENTION_AGE: "30d" })
      assert.deepStrictEqual(readdirSync(join(dir, "runs")), [id("cc33")])
      assert.isTrue(existsSync(join(dir, "removed", `${id("aa11")}.json`)))
      assert.isUndefined((yield* stored(dir, id("aa11"))).status)
    }).pipe(Effect.scoped)
  )
})
