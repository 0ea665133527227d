/** What `npm run check` and `npm test` run, longest first. */
import { join, relative } from "node:path"
import type { Step } from "./graph.ts"
import { root } from "./setup/packages.mjs"
import { pythonPath, venvMinor } from "./setup/python.ts"

/** Where the test runners of a full run leave their reports. */
export interface Reports {
  readonly vitest: string
  readonly pytest: string
  readonly pytestTorch: string
}

export const reportsIn = (folder: string): Reports => ({
  vitest: join(folder, "vitest.json"),
  pytest: join(folder, "pytest.xml"),
  pytestTorch: join(folder, "pytest-torch.xml")
})

const python = relative(root, pythonPath)
const module_ = "packages/bridge-python/python"
/** mypy and pytest find their configuration in the folder they are started in. */
const inModule = (command: string) => `cd ${module_} && ${join("..", "..", "..", python)} -m ${command}`
/** pytest ends with 5 where nothing was selected. */
const pytest = (marker: string, options: string) => `${inModule(`pytest -q -m "${marker}"${options}`)} || test $? -eq 5`

/** The steps of `npm run check`. With `reports` the test runners write theirs. */
export const checks = (reports?: Reports): ReadonlyArray<Step> => [
  { name: "bundle", command: "node tools/bundle.ts" },
  {
    name: "tests",
    command:
      reports === undefined
        ? "vitest run"
        : `HISTORIES=10000 vitest run --coverage --reporter=default --reporter=json --outputFile.json=${reports.vitest}`,
    after: ["bundle"]
  },
  { name: "lint", command: "oxlint" },
  { name: "dead code", command: "knip" },
  { name: "types", command: "node tools/types.ts" },
  { name: "format", command: "oxfmt --check ." },
  {
    name: "Python types",
    command: inModule("mypy --no-error-summary"),
    skip: venvMinor() < 10 ? "mypy needs Python 3.10" : undefined
  },
  { name: "Python types for 3.9", command: `pyright --project ${module_} --pythonpath ${python} --warnings` },
  { name: "Python lint", command: inModule("ruff check .") },
  { name: "Python format", command: inModule("ruff format --check .") },
  {
    name: "Python tests",
    command: pytest("not torch", reports === undefined ? "" : ` --junitxml=${reports.pytest}`),
    after: ["bundle"]
  }
]

/** The steps that only `npm test` takes time for. */
export const slowChecks = (reports: Reports, missingTorch: string | undefined): ReadonlyArray<Step> => [
  { name: "packed packages", command: "node tools/packed.ts", after: ["types"] },
  {
    name: "packed Python module",
    command: "node tools/wheel.ts",
    after: ["bundle"],
    skip: venvMinor() < 10 ? "hatchling needs Python 3.10" : undefined
  },
  {
    name: "Python tests with PyTorch",
    command: pytest("torch", ` -W default --junitxml=${reports.pytestTorch}`),
    after: ["bundle", "Python tests"],
    skip: missingTorch
  }
]
