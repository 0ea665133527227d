import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Mlflow from "@tracelet/backend-mlflow"
import { MlflowConfig } from "@tracelet/backend-mlflow/MlflowConfig"

const decode = Schema.decodeUnknownEffect(MlflowConfig, { errors: "all", onExcessProperty: "error" })
const trackingUri = "https://mlflow.example.org/team"

describe("MlflowConfig", () => {
  it.effect("needs the address of a server and nothing else", () =>
    Effect.gen(function* () {
      const config = yield* decode({ trackingUri })
      assert.deepStrictEqual(
        { ...config, requestTimeout: Duration.toSeconds(config.requestTimeout) },
        { trackingUri, requestTimeout: 120 }
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

  it.effect.each(["0 seconds", "-1 seconds", "soon"])("refuses %s as a wait", (requestTimeout) =>
    Effect.flip(decode({ trackingUri, requestTimeout }))
  )

  it.effect("takes what it lacks from the variables of MLflow's own client", () =>
    Effect.gen(function* () {
      const recorded = yield* Effect.provide(
        Mlflow.plugin().recorded,
        ConfigProvider.layer(
          ConfigProvider.fromEnvRecord({
            MLFLOW_TRACKING_URI: trackingUri,
            MLFLOW_EXPERIMENT_NAME: "digits",
            MLFLOW_TRACKING_INSECURE_TLS: "true",
            MLFLOW_HTTP_REQUEST_TIMEOUT: "45",
            MLFLOW_TRACKING_TOKEN: "hunter2"
          })
        )
      )
      assert.deepStrictEqual(recorded, {
        trackingUri,
        experiment: "digits",
        requestTimeout: "45 seconds"
      })
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
