import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import * as Distribution from "../src/Distribution.ts"
import * as Output from "../src/Output.ts"
import { golden, tracelet } from "./support/harness.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(Output.BackendPlugins)))

describe("tracelet backends", () => {
  it.live("lists each backend with its keys and their variables", () =>
    Effect.gen(function* () {
      const { code, out, err } = yield* tracelet("/", ["backends"])
      assert.deepStrictEqual([code, err], [0, ""])
      yield* golden("backends", out)
    })
  )

  it.live("says the same to scripts, in the words of its Schema", () =>
    Effect.gen(function* () {
      const all = yield* decode((yield* tracelet("/", ["backends", "--json"])).out)
      assert.deepStrictEqual(
        all.map(({ plugin, keys }) => [plugin, keys.map(({ name }) => name)]),
        Distribution.backends.map(({ id, config }) => [id, config.keys.map(({ name }) => name)])
      )
    })
  )

  it.live("says which variables are set here, and not what they are set to", () =>
    Effect.gen(function* () {
      const variables = Distribution.backends.flatMap(({ config }) => config.keys.flatMap((key) => key.variables))
      const env = Object.fromEntries(variables.map((name) => [name, "geheim"]))
      const { out } = yield* tracelet("/", ["backends"], { env })
      assert.strictEqual(out.split("✓").length - 1, variables.length)
      assert.notInclude(out, "geheim")
      assert.notInclude((yield* tracelet("/", ["backends", "--json"], { env })).out, "geheim")
    })
  )

  it.live("has its table fit a narrow terminal", () =>
    Effect.gen(function* () {
      const { out } = yield* tracelet("/", ["backends"], { columns: 60 })
      const rows = out.split("\n").filter((line) => line.startsWith("  "))
      assert.isAtMost(Math.max(...rows.map(({ length }) => length)), 60)
    })
  )
})
