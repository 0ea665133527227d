/**
 * The whole way, as a user takes it: the Python module records and starts the bundled agent by itself, and what was logged is in the store.
 */
import { assert, it } from "@effect/vitest"
import * as AgentClient from "@tracelet/bridge-python/AgentClient"
import * as LocalReader from "@tracelet/backend-local/LocalReader"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { beforeAll, describe } from "vitest"
import { start, stored, temporary, until } from "./agentProcess.ts"

const root = join(import.meta.dirname, "..", "..", "..")
const module = join(root, "packages", "bridge-python", "python", "src")
const environmentPython = join(root, ".venv", "bin", "python")
const python = existsSync(environmentPython) ? environmentPython : "python3"

const points = 10_000

/** Logs, says so, and ends as its argument says. */
const trainer = `
import os, signal, sys
import tracelet
run = tracelet.start_logging(exp_name="acceptance", project="tests", backend="local")
for step in range(${points}):
    run.log({"loss": step / 8}, step=step)
if sys.argv[1] == "SIGKILL":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "raise":
    raise RuntimeError("out of luck")
tracelet.stop_logging()
`

/** Its agent is killed in the middle of the run, and is there again while it goes on; then once more, just before it waits for the delivery. */
const bereft = `
import glob, json, os, signal, sys, time
import tracelet, tracelet._agent
tracelet._agent._WATCH_SECONDS = 0.2
def agents():
    return [json.load(open(path)) for path in glob.glob(os.path.join(os.environ["TRACELET_DIR"], "agents", "*.json"))]
def kill_agent():
    until(agents)
    pid = agents()[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid
def until(happens):
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)
run = tracelet.start_logging(exp_name="bereft", project="tests", backend="local")
run.log({"loss": 0.0}, step=0)
until(lambda: run._agent._told.is_set())
first = kill_agent()
until(lambda: [agent for agent in agents() if agent["pid"] != first])
tracelet._agent._WATCH_SECONDS = 60
time.sleep(0.3)
for step in range(1, ${points}):
    run.log({"loss": step / 8}, step=step)
kill_agent()
began = time.monotonic()
tracelet.stop_logging("always")
print(f"waited {time.monotonic() - began}")
`

const runsOf = (dir: string) =>
  Effect.flatMap(LocalReader.LocalReader, (reader) => reader.runs()).pipe(
    Effect.provide(LocalReader.layer({ file: join(dir, "store.db") })),
    Effect.orElseSucceed(() => [])
  )

describe("a Python trainer", { timeout: 60_000 }, () => {
  beforeAll(() => void execFileSync(process.execPath, [join(root, "tools", "bundle.ts")], { cwd: root }), 60_000)

  for (const [how, status] of [
    ["stop", "finished"],
    ["raise", "failed"],
    ["SIGKILL", "killed"]
  ] as const) {
    it.live(`that ends by ${how} has all it logged in the store, as ${status}, without anybody starting anything`, () =>
      Effect.gen(function* () {
        const { home, dir, environment } = yield* temporary
        // Whatever agent the module starts is ended with the test.
        yield* Effect.addFinalizer(() => Effect.ignore(Effect.flatMap(AgentClient.find(dir), (client) => client.stop)))
        const env = { ...environment, PYTHONPATH: module, TRACELET_DIR: dir, PYTHONDONTWRITEBYTECODE: "1" }
        const child = yield* start(python, ["-c", trainer, how], { cwd: home, env })
        const code = yield* child.ended
        assert.strictEqual(code, how === "stop" ? 0 : how === "raise" ? 1 : "SIGKILL", child.output())
        yield* until(Effect.map(runsOf(dir), (runs) => runs.some(({ closed }) => closed)))
        const [run] = yield* runsOf(dir)
        assert.deepInclude(run, { name: "acceptance", project: "tests", status, points })
        const { points: columns } = yield* stored(dir, run?.id ?? "")
        assert.deepStrictEqual(
          [...(columns?.steps ?? [])],
          Array.from({ length: points }, (_, step) => step)
        )
        assert.deepStrictEqual(
          [...(columns?.values ?? [])],
          Array.from({ length: points }, (_, step) => step / 8)
        )
      }).pipe(Effect.scoped)
    )
  }

  it.live(
    "has another agent where its own was killed: while it goes on, and at once where it waits for the delivery",
    () =>
      Effect.gen(function* () {
        const { home, dir, environment } = yield* temporary
        yield* Effect.addFinalizer(() => Effect.ignore(Effect.flatMap(AgentClient.find(dir), (client) => client.stop)))
        const env = { ...environment, PYTHONPATH: module, TRACELET_DIR: dir, PYTHONDONTWRITEBYTECODE: "1" }
        const child = yield* start(python, ["-c", bereft], { cwd: home, env })
        assert.strictEqual(yield* child.ended, 0, child.output())
        // The agent may close the run a moment after it has said that all is delivered.
        yield* until(Effect.map(runsOf(dir), (runs) => runs.some(({ closed }) => closed)))
        const [run] = yield* runsOf(dir)
        assert.deepInclude(run, { name: "bereft", status: "finished", points, closed: true })
        const waited = Number(/^waited ([0-9.]+)$/m.exec(child.output())?.[1])
        assert.isBelow(waited, 4)
      }).pipe(Effect.scoped)
  )

  it.live("that waits for the delivery ends when its backends have heard of the end of the run, too", () =>
    Effect.gen(function* () {
      const { home, dir, environment } = yield* temporary
      yield* Effect.addFinalizer(() => Effect.ignore(Effect.flatMap(AgentClient.find(dir), (client) => client.stop)))
      const env = { ...environment, PYTHONPATH: module, TRACELET_DIR: dir, PYTHONDONTWRITEBYTECODE: "1" }
      const waits = { ...env, TRACELET_STOP_WAIT: "always" }
      for (let round = 1; round <= 5; round++) {
        const child = yield* start(python, ["-c", trainer, "stop"], { cwd: home, env: waits })
        assert.strictEqual(yield* child.ended, 0, child.output())
        // Read at once: the agent of a container ends with it.
        const runs = yield* runsOf(dir)
        assert.deepStrictEqual(
          runs.map(({ status, closed }) => `${status} ${closed}`),
          Array.from({ length: round }, () => "finished true")
        )
      }
    }).pipe(Effect.scoped)
  )
})
