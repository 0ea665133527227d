/** Makes the folder of a version: see README.md beside it. `node --conditions=@tracelet/source packages/cli/test/released/make.ts VERSION` */
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Local from "@tracelet/backend-local"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"

const version = process.argv[2] ?? ""
const target = join(import.meta.dirname, version)
if (version === "" || existsSync(target)) throw new Error("usage: make.ts VERSION, of a folder that is not there yet")
const root = join(import.meta.dirname, "../../../..")
const dir = join(mkdtempSync(join(tmpdir(), "tracelet-released-")), "folder")

const python = `
import tracelet
run = tracelet.start_logging(exp_name="python", project="released", backend="local")
run.set_tags({"label": "", "team": "vision"})
run.log_params({"lr": 1e-3, "layers": [64, 32], "nested": {"a": None, "__proto__": 1}})
for step in range(2500):
    run.log({"loss": 1.0 / (step + 1)}, step=step)
run.log({"loss": float("nan"), "a/b": float("inf")}, step=-5, context={"subset": "val"})
run.log_metric("__proto__", -0.0, 2**53 - 1)
run.log_text("note", "e\\u0301 \\U0001f600\\n" * 20000)
tracelet.stop_logging(wait=False)
`

const typescript = Effect.gen(function* () {
  yield* Tracker.logParams({ lr: 1e-3, layers: [64, 32], zero: -0 })
  yield* Tracker.setTags(["label"])
  for (let step = 0; step < 5_000; step++) yield* Tracker.log({ loss: 1 / (step + 1), acc: step / 5_000 }, { step })
  yield* Tracker.log({ loss: -Infinity }, { step: -(2 ** 53 - 1), context: { rank: 1, subset: "val" } })
  yield* Tracker.logText("note", "done")
  return yield* Effect.fail("the end of it")
}).pipe(
  Tracker.withRun({ project: "released", name: "typescript", tags: { team: "nlp" } }),
  Effect.ignore,
  Effect.provide(
    Tracelet.layer({ backends: { local: Local.plugin() } }).pipe(
      Layer.provide(Journal.layerFile({ dir })),
      Layer.provide(NodePlatform.layer)
    )
  )
)

execFileSync(process.env["TRACELET_PYTHON"] ?? "python3", ["-c", python], {
  env: {
    ...process.env,
    TRACELET_DIR: dir,
    TRACELET_AGENT: "off",
    PYTHONPATH: join(root, "packages/bridge-python/python/src")
  }
})
await Effect.runPromise(typescript)

const tracelet = (...args: ReadonlyArray<string>): string =>
  execFileSync(
    process.execPath,
    ["--conditions=@tracelet/source", join(root, "packages/cli/src/main.ts"), ...args, "--dir", dir],
    {
      encoding: "utf8",
      maxBuffer: 2 ** 30
    }
  )
tracelet("sync")
cpSync(dir, join(target, "folder"), {
  recursive: true,
  filter: (path) => !/\.lock$|\.gitignore$|-wal$|-shm$|agents$/.test(path)
})
for (const name of ["python", "typescript"]) writeFileSync(join(target, `${name}.jsonl`), tracelet("export", name))
rmSync(join(dir, ".."), { recursive: true })
