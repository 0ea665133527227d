import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Backend, openAlone } from "@tracelet/core/Backend"
import { RunId } from "@tracelet/core/Run"
import { runStarted } from "@tracelet/core/RunEvent"
import * as Mlflow from "@tracelet/backend-mlflow"
import { afterAll, beforeAll } from "vitest"
import { batch, points, series } from "./support/batches.ts"
import { readRun } from "./support/readRun.ts"
import { isInstalled, start, type Server } from "./support/server.ts"

const adminPassword = "pass word for tests"

describe.skipIf(!isInstalled)("MlflowBackend, on a server that asks who it is", { timeout: 180_000 }, () => {
  let server: Server
  beforeAll(async () => void (server = await start({ adminPassword })), 180_000)
  afterAll(() => server.stop())

  const open = (id: string, login: { readonly username: string; readonly password: string }) =>
    Effect.gen(function* () {
      const backend = yield* Backend
      const run = yield* backend.open(openAlone(runStarted(RunId.make(id), { time: 1, project: "p", name: "n" })))
      yield* run.write(batch("w", [points(0, [{ series: series("loss"), step: 0, value: 1, time: 1 }])]))
      return run.remote ?? ""
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provide(Mlflow.plugin({ trackingUri: server.uri, ...login }).layer, FetchHttpClient.layer))
    )
  const admin = { username: "admin", password: adminPassword }

  it.live("delivers with user and password", () =>
    Effect.gen(function* () {
      const id = yield* open("right", admin)
      const run = yield* Effect.promise(() => readRun(server, id))
      assert.deepStrictEqual(run.metrics["loss"], [[0, 1, 1000]])
    })
  )

  it.live("is refused a login with a wrong password, and does not repeat it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(open("wrong", { username: "admin", password: "hunter2hunter2" }))
      assert.strictEqual("reason" in error ? error.reason._tag : error._tag, "Unauthorised")
      assert.include(error.message, "password")
      assert.notInclude(error.message, "hunter2")
    })
  )

  it.live("is held where its user may not write", () =>
    Effect.gen(function* () {
      const guest = { username: "guest", password: "guest password 1" }
      yield* Effect.promise(() =>
        server.python(
          `from mlflow.server import get_app_client
client = get_app_client("basic-auth", tracking_uri="${server.uri}")
client.create_user("${guest.username}", "${guest.password}")
print("null")`
        )
      )
      const error = yield* Effect.flip(open("right", guest))
      assert.strictEqual("reason" in error ? error.reason._tag : error._tag, "Held")
      assert.include(error.message, "403")
    })
  )
})
