import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MlflowClient, layer } from "@tracelet/backend-mlflow/MlflowClient"
import { MlflowConfig } from "@tracelet/backend-mlflow/MlflowConfig"

interface Reply {
  readonly status?: number
  readonly body?: string
}

/** What a client does when each of its calls is answered so, and what it asked. */
const asking = <A, E>(
  config: Partial<(typeof MlflowConfig)["Encoded"]>,
  reply: (path: string) => Reply,
  use: (client: MlflowClient["Service"]) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const asked: Array<HttpClientRequest.HttpClientRequest> = []
    const http = HttpClient.make((request) =>
      Effect.sync(() => {
        asked.push(request)
        const { body = "{}", status = 200 } = reply(new URL(request.url).pathname)
        return HttpClientResponse.fromWeb(request, new Response(body, { status }))
      })
    )
    const decoded = yield* Schema.decodeEffect(MlflowConfig)({
      trackingUri: "http://mlflow.test/base/",
      credentialsFile: "/none",
      ...config
    })
    const client = Layer.provide(layer(decoded), Layer.succeed(HttpClient.HttpClient, http))
    const exit = yield* Effect.exit(Effect.provide(Effect.flatMap(MlflowClient, use), client))
    return {
      asked,
      exit,
      failure: exit._tag === "Failure" ? exit.cause.reasons.find((one) => one._tag === "Fail") : undefined
    }
  })

const logOne = (client: MlflowClient["Service"]) => client.logBatch("log 1 metric of run r", '{"run_id":"r"}')
const error = (code: string, message: string) => JSON.stringify({ error_code: code, message })
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`

describe("MlflowClient", () => {
  it.effect.each([
    [{ username: "ada", password: "pass word", token: "t" }, basic("ada:pass word")],
    [{ token: "t" }, "Bearer t"],
    [{}, undefined]
  ] as const)("says who asks: %j", ([config, header]) =>
    Effect.gen(function* () {
      const { asked } = yield* asking(config, () => ({}), logOne)
      assert.strictEqual(asked[0]?.headers["authorization"], header)
      assert.strictEqual(asked[0]?.url, "http://mlflow.test/base/api/2.0/mlflow/runs/log-batch")
    })
  )

  it.effect.each([
    [{}, basic("file user:file = pass")],
    [{ username: "ada" }, basic("ada:file = pass")],
    [{ token: "t" }, "Bearer t"]
  ] as const)("reads MLflow's file of credentials for what %j leaves open", ([config, header]) =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "tracelet-credentials-"))
      const credentialsFile = join(folder, "credentials")
      writeFileSync(
        credentialsFile,
        "[other]\nmlflow_tracking_username = no\n[mlflow]\n# a comment\nmlflow_tracking_username = file user\nmlflow_tracking_password=file = pass\n"
      )
      const { asked } = yield* asking({ ...config, credentialsFile }, () => ({}), logOne)
      rmSync(folder, { recursive: true })
      assert.strictEqual(asked[0]?.headers["authorization"], header)
    })
  )

  it.effect.each([
    [true, "team"],
    [false, undefined]
  ] as const)("names its workspace to a server that has them (%s)", ([workspaces_enabled, header]) =>
    Effect.gen(function* () {
      const { asked } = yield* asking(
        { workspace: "team" },
        (path) => (path.endsWith("server-info") ? { body: JSON.stringify({ workspaces_enabled }) } : {}),
        (client) => Effect.andThen(logOne(client), logOne(client))
      )
      assert.deepStrictEqual(
        asked.map(({ headers, url }) => [new URL(url).pathname.split("/").at(-1), headers["x-mlflow-workspace"]]),
        [
          ["server-info", undefined],
          ["log-batch", header],
          ["log-batch", header]
        ]
      )
    })
  )

  it.effect.each([
    [403, "Invalid Host header - possible DNS rebinding attack detected", "Held", "--allowed-hosts"],
    [403, "Permission denied", "Held", "right"],
    [401, "You are not authenticated.", "Unauthorised", "password"],
    [
      400,
      error("INVALID_PARAMETER_VALUE", "The run r must be in the 'active' state. Current state is deleted."),
      "Held",
      "restore"
    ],
    [404, error("RESOURCE_DOES_NOT_EXIST", "Run with id=r not found"), "Held", "gone"],
    [404, "<html>Not Found</html>", "Held", "base URL"],
    [500, error("FEATURE_DISABLED", "Workspaces are not enabled"), "Held", "switched off"],
    [500, "<html>Internal Server Error</html>", "Transient", ""],
    [503, error("TEMPORARILY_UNAVAILABLE", "database is locked"), "Transient", ""],
    [429, error("REQUEST_LIMIT_EXCEEDED", "slow down"), "Throttled", ""]
  ] as const)("takes %d %s for what it is", ([status, body, reason, advice]) =>
    Effect.gen(function* () {
      const { failure } = yield* asking({}, () => ({ status, body }), logOne)
      assert.strictEqual(failure?.error._tag === "BackendError" ? failure.error.reason._tag : undefined, reason)
      assert.include(failure?.error.message, advice)
    })
  )

  it.effect("tells what is wrong with a request apart from what is wrong with the run", () =>
    Effect.gen(function* () {
      const { exit } = yield* asking(
        {},
        () => ({ status: 400, body: error("INVALID_PARAMETER_VALUE", "metrics[3].name") }),
        logOne
      )
      assert.deepInclude(exit, {
        _tag: "Success",
        value: { status: 400, code: "INVALID_PARAMETER_VALUE", message: "metrics[3].name" }
      })
    })
  )

  it.effect("takes a tag that is not there for deleted", () =>
    Effect.gen(function* () {
      const { exit } = yield* asking(
        {},
        () => ({ status: 404, body: error("RESOURCE_DOES_NOT_EXIST", "No tag with name: draft in run with id r") }),
        (client) => client.deleteTag("r", "draft")
      )
      assert.strictEqual(exit._tag, "Success")
    })
  )
})
