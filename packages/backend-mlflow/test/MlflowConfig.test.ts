import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { MlflowConfig } from "@tracelet/backend-mlflow/MlflowConfig"

const decode = Schema.decodeUnknownEffect(MlflowConfig, { errors: "all", onExcessProperty: "error" })
const trackingUri = "https://mlflow.example.org/team"

describe("MlflowConfig", () => {
  it.effect("needs the address of a server and nothing else", () =>
    Effect.gen(function* () {
      const config = yield* decode({ trackingUri })
      assert.deepStrictEqual(
        { ...config, requestTimeout: Duration.toSeconds(config.requestTimeout) },
        { trackingUri, insecureTls: false, requestTimeout: 120 }
      )
    })
  )

  it.effect.each(["sqlite:///mlflow.db", "file:/runs", "databricks", "./mlruns", ""])(
    "refuses %s, and says what it wants",
    (uri) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(decode({ trackingUri: uri }))
        assert.include(error.message, "http:// or https://")
      })
  )

  it.effect.each([
    ["45", 45],
    [45, 45],
    ["2 minutes", 120]
  ] as const)("takes %s as a wait", ([requestTimeout, seconds]) =>
    Effect.gen(function* () {
      const config = yield* decode({ trackingUri, requestTimeout })
      assert.strictEqual(Duration.toSeconds(config.requestTimeout), seconds)
    })
  )

  it.effect.each(["0", "-1", "soon"])("refuses %s as a wait", (requestTimeout) =>
    Effect.gen(function* () {
      yield* Effect.flip(decode({ trackingUri, requestTimeout }))
    })
  )

  it.effect.each([
    ["true", true],
    ["1", true],
    [true, true],
    ["false", false],
    [false, false]
  ] as const)("reads the switch %s", ([insecureTls, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* decode({ trackingUri, insecureTls })).insecureTls, expected)
    })
  )

  it.effect("shows no secret when it refuses one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        decode({ trackingUri: "no", password: "hunter2", token: "hunter2", username: 3 })
      )
      assert.notInclude(error.message, "hunter2")
    })
  )
})
