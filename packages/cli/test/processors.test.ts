/** What an app with stateful processors has left undelivered: the agent and commands go on with those that they know, and hold what they do not. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { startAgent, stored, temporary } from "./agentProcess.ts"
import * as App from "./support/app.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"

const sync = (dir: string) =>
  Effect.map(tracelet(dir, ["sync", "--json", "--dir", "."], { env: { TRACELET_ARCHIVE: "off" } }), ({ out }) =>
    JSON.parse(out)
  )

const exported = (dir: string) =>
  Effect.map(tracelet(dir, ["export", "ranks", "--format", "jsonl", "--dir", "."]), ({ code, out, err }) => {
    assert.strictEqual(code, 0, err)
    return out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
  })

/** What the three built-in processors of the app have to give, in an export. */
const check = (lines: ReadonlyArray<{ readonly [key: string]: unknown }>) => {
  const points = lines.filter(({ value }) => value !== undefined)
  const of = (name: string, key: string) =>
    points.filter((line) => line["name"] === name && JSON.stringify(line["context"] ?? {}).includes(key))
  const means = of("loss", `"reduce":"mean"`)
  assert.deepStrictEqual(
    means.map(({ step, value }) => [step, value]),
    Array.from({ length: App.steps }, (_, step) => [step, step + 1.5])
  )
  assert.strictEqual(of("loss", "rank").length, App.steps * App.ranks)
  assert.strictEqual(of("grad", "").length, 3 * (App.steps / 50))
  assert.deepStrictEqual(
    of("busy", "").map(({ step }) => step),
    [0, App.steps - 1]
  )
}

describe("a run that an app with stateful processors left undelivered", { timeout: 60_000 }, () => {
  it.live("J13.8: is delivered by sync with the app's processors, built from their pin", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryFolder
      yield* App.run(dir, App.builtIn)
      const { drained, runs } = yield* sync(dir)
      assert.isTrue(drained, JSON.stringify(runs))
      check(yield* exported(dir))
    }).pipe(Effect.scoped)
  )

  it.live("J13.8: is delivered by the agent, and archived beside its derived journals (J11.7)", () =>
    Effect.gen(function* () {
      const { dir, environment } = yield* temporary
      yield* App.run(dir, App.builtIn)
      const [id = ""] = readdirSync(join(dir, "runs"))
      const agent = yield* startAgent(dir, ["--idle", "9"], { env: environment })
      assert.strictEqual(yield* agent.ended, 0, agent.output())
      assert.isTrue((yield* stored(dir, id)).closed)
      assert.deepStrictEqual(
        readdirSync(join(dir, "runs", id, "journal")).map((name) => name.split(".").at(-1)),
        ["tla"]
      )
      assert.isTrue(existsSync(join(dir, "runs", id, "derived", "reduce-mean")))
      check(yield* exported(dir))
    }).pipe(Effect.scoped)
  )

  it.live("J13.8: is held where one of the processors is not known, and says so", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryFolder
      yield* App.run(dir, [...App.builtIn, App.homemade])
      const before = yield* exported(dir)
      const { drained, runs } = yield* sync(dir)
      assert.isFalse(drained)
      const { local } = runs[0].backends
      assert.strictEqual(local.state, "held")
      assert.match(local.reason, /processor\.homemade|derived journal homemade/)
      assert.deepStrictEqual(yield* exported(dir), before)
    }).pipe(Effect.scoped)
  )
})
