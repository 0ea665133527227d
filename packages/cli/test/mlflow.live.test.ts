/**
 * The whole way to MLflow, as a user of the Python module takes it: `backend="mlflow"`, the bundled agent, and a real server that asks who
 * it is, read back with MLflow's own client.
 */
import { assert, it } from "@effect/vitest"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe } from "vitest"
import { readRun } from "../../backend-mlflow/test/support/readRun.ts"
import { isInstalled, start as startServer, type Server } from "../../backend-mlflow/test/support/server.ts"
import { start, temporary, until } from "./agentProcess.ts"

const root = join(import.meta.dirname, "..", "..", "..")
const module = join(root, "packages", "bridge-python", "python", "src")
const environmentPython = join(root, ".venv", "bin", "python")
const python = existsSync(environmentPython) ? environmentPython : "python3"

const points = 3_000
const adminPassword = "pass word for tests"

const trainer = `
import os, signal, sys
import tracelet
run = tracelet.start_logging(exp_name="acceptance", project="digits", backend="mlflow")
run.log_params({"lr": 0.1, "optimizer": {"name": "adam"}, "amp": True})
for step in range(${points}):
    run.log({"loss": float("nan") if step == 7 else step / 8, "val/acc@5": -step}, step=step - 10)
if sys.argv[1] == "SIGKILL":
    os.kill(os.getpid(), signal.SIGKILL)
tracelet.stop_logging()
`

const runsIn = ({ python: ask }: Server) =>
  Effect.map(
    Effect.promise(() =>
      ask(
        `import json, mlflow
client = mlflow.MlflowClient()
experiment = client.get_experiment_by_name("digits")
runs = client.search_runs([experiment.experiment_id]) if experiment else []
print(json.dumps([run.info.run_id for run in runs if run.info.status != "RUNNING"]))`
      )
    ),
    (answer) => (Array.isArray(answer) ? answer.map(String) : [])
  )

describe.skipIf(!isInstalled)("a Python trainer with an MLflow server", { timeout: 180_000 }, () => {
  let server: Server

  beforeAll(async () => {
    execFileSync(process.execPath, [join(root, "tools", "bundle.ts")], { cwd: root })
    server = await startServer({ adminPassword })
  }, 180_000)
  afterAll(() => server.stop())

  for (const [how, status] of [
    ["stop", "FINISHED"],
    ["SIGKILL", "KILLED"]
  ] as const) {
    it.live(`that ends by ${how} has all it logged there, as ${status}`, () =>
      Effect.gen(function* () {
        const { home, dir, environment } = yield* temporary
        yield* Effect.addFinalizer(() => Effect.ignore(Effect.flatMap(AgentClient.find(dir), (client) => client.stop)))
        const before = yield* runsIn(server)
        const env = {
          ...environment,
          PYTHONPATH: module,
          TRACELET_DIR: dir,
          PYTHONDONTWRITEBYTECODE: "1",
          MLFLOW_TRACKING_URI: server.uri,
          MLFLOW_TRACKING_USERNAME: "admin",
          MLFLOW_TRACKING_PASSWORD: adminPassword
        }
        const child = yield* start(python, ["-c", trainer, how], { cwd: home, env })
        assert.strictEqual(yield* child.ended, how === "stop" ? 0 : "SIGKILL", child.output())
        yield* until(Effect.map(runsIn(server), (runs) => runs.length > before.length))
        const [id = ""] = (yield* runsIn(server)).filter((run) => !before.includes(run))
        const run = yield* Effect.promise(() => readRun(server, id))
        assert.deepInclude(run, { name: "acceptance", status })
        assert.deepStrictEqual(run.params, { lr: "0.1", "optimizer/name": "adam", amp: "True" })
        const { loss = [], "val/acc_x40_5": accuracy = [] } = run.metrics
        const all = Array.from({ length: points }, (_, step) => step)
        const byStep = loss.toSorted((a, b) => a[0] - b[0])
        assert.deepStrictEqual(
          byStep.map(([step, value]) => [step, value]),
          all.map((step) => [step - 10, step === 7 ? "nan" : step / 8])
        )
        assert.strictEqual(accuracy.length, points)
        // Of whoever began it, on the clock it was logged by.
        assert.isTrue(loss.every(([, , at]) => at >= run.start && at <= (run.end ?? 0)))
      }).pipe(Effect.scoped)
    )
  }
})
