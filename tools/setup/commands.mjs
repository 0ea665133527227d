/**
 * The commands that start on the user's own Node, and their steps in the order they are shown.
 * `tools/start.mjs` does the first step and hands over to `tools/<command>.ts`, which does the others.
 */
export const packages = "packages (npm ci)"
/** @public */
export const python = "Python environment (.venv)"
export const pythonTools = "Python tools (pytest, ruff, mypy)"
export const torch = "PyTorch and Lightning"
export const mlflow = "MLflow (.venv-mlflow)"
export const bundle = "bundle (agent and CLI)"
/** @public */
export const demo = "demo"
/** @public */
export const chaos = "chaos"
/** @public */
export const soak = "soak"
export const checksAndTests = "checks and tests"

/** @type {Readonly<Record<string, ReadonlyArray<string>>>} */
export const commands = {
  chaos: [packages, python, bundle, chaos],
  demo: [packages, python, bundle, demo],
  "demo-torch": [packages, python, torch, bundle, demo],
  soak: [packages, python, bundle, soak],
  setup: [packages, pythonTools, bundle],
  "setup-mlflow": [packages, mlflow],
  test: [packages, pythonTools, torch, mlflow, checksAndTests]
}
