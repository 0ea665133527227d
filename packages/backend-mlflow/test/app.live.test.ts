/** The whole way, as an Effect app takes it: what it logs goes through the journal and a lane to a real server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { CurrentRun } from "@tracelet/core/CurrentRun"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as Mlflow from "@tracelet/backend-mlflow"
import { readRun } from "./support/readRun.ts"
import { isInstalled, start } from "./support/server.ts"
import { shared } from "./support/shared.ts"

/** One pixel. */
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64"
)

const tracking = (trackingUri: string) =>
  Tracelet.layer({ drain: "100 seconds", backends: { mlflow: Mlflow.plugin({ trackingUri }) } }).pipe(
    Layer.provide(Journal.layerMemory),
    Layer.provide(FetchHttpClient.layer)
  )

/** Id of the run with that id of ours, as MLflow's own client finds it. */
const remoteOf = (server: Pick<Awaited<ReturnType<typeof shared>>, "python">, id: string) =>
  Effect.map(
    Effect.promise(() =>
      server.python(
        `import json, mlflow
client = mlflow.MlflowClient()
experiments = [experiment.experiment_id for experiment in client.search_experiments()]
runs = client.search_runs(experiments, "tags.\`tracelet.run_id\` = '${id}'")
print(json.dumps([run.info.run_id for run in runs]))`
      )
    ),
    (found) => {
      assert.isTrue(Array.isArray(found) && found.length === 1, JSON.stringify(found))
      return Array.isArray(found) ? String(found[0]) : ""
    }
  )

/** Whether any run of the server has points. */
const hasPoints = (uri: string) =>
  Effect.promise(async () => {
    const answer = await fetch(`${uri}/api/2.0/mlflow/runs/search`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ experiment_ids: ["1"], filter: "metrics.loss >= 0" })
    })
    return (await answer.text()).includes('"loss"')
  })

const until = (isSo: Effect.Effect<boolean>) => Effect.repeat(Effect.delay(isSo, "20 millis"), { until: (so) => so })

describe.skipIf(!isInstalled)("an app with an MLflow server", { timeout: 180_000 }, () => {
  it.live("has all it logged there: params, points, tags, an image, a table, a histogram, a text", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(shared)
      const { id } = yield* Effect.gen(function* () {
        yield* Tracker.logParams({ lr: 1e-3, layers: [64, 32] })
        for (let step = 0; step < 2_500; step++) yield* Tracker.log({ loss: step / 2 }, { step })
        yield* Tracker.setTags({ stage: "dev" })
        yield* Tracker.logImage("samples", png, { step: 1 })
        yield* Tracker.logTable("confusion", { columns: ["a", "b"], data: [[1, 2]] }, { step: 1 })
        yield* Tracker.logText("note", "hello", { step: 1 })
        return (yield* CurrentRun).run
      }).pipe(Tracker.withRun({ project: "app", name: "baseline" }), Effect.provide(tracking(server.uri)))
      const remote = yield* remoteOf(server, id)
      const run = yield* Effect.promise(() => readRun(server, remote))
      assert.deepInclude(run, { name: "baseline", experiment: "app", status: "FINISHED" })
      assert.deepStrictEqual(run.params, { lr: "0.001", layers: "[64,32]" })
      assert.deepStrictEqual(
        run.metrics["loss"]?.map(([step, value]) => [step, value]),
        Array.from({ length: 2_500 }, (_, step) => [step, step / 2])
      )
      assert.strictEqual(run.tags["stage"], "dev")
      assert.deepStrictEqual(
        run.files.map((file) => file.split("/")[0]),
        ["images", "images", "tables", "texts"]
      )
    })
  )

  it.live("loses and doubles nothing when the server is killed in the middle and started again", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => start()),
        (one) => Effect.promise(one.stop)
      )
      const points = 6_000
      const { id } = yield* Effect.gen(function* () {
        for (let step = 0; step < points; step++) {
          if (step === points / 2) {
            yield* until(hasPoints(server.uri))
            yield* Effect.promise(server.kill)
          }
          yield* Tracker.log({ loss: step / 2 }, { step })
          if (step % 100 === 0) yield* Effect.sleep("5 millis")
        }
        yield* Effect.promise(server.restart)
        return (yield* CurrentRun).run
      }).pipe(Tracker.withRun({ project: "app" }), Effect.provide(tracking(server.uri)))
      const remote = yield* remoteOf(server, id)
      const run = yield* Effect.promise(() => readRun(server, remote))
      assert.strictEqual(run.status, "FINISHED")
      assert.deepStrictEqual(
        run.metrics["loss"]?.map(([step, value]) => [step, value]),
        Array.from({ length: points }, (_, step) => [step, step / 2])
      )
    }).pipe(Effect.scoped)
  )
})
