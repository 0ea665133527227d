/**
 * The virtual environment `.venv-mlflow` of this clone: the MLflow server that tests start, and MLflow's own client, with which they read
 * back. Apart from `.venv`, since its packages are many and none of them is tracelet's business.
 *
 * A file in it says what it was made from; a second start reads that file and nothing else.
 */
import { createHash } from "node:crypto"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { findPython, venvAdvice } from "./findPython.mjs"
import { root } from "./packages.mjs"
import { StepError, run, say, type Report } from "./steps.mjs"

/** MLflow 3.18 needs Python 3.10. */
const oldestMinor = 10

const size = "about 70 MB to download, 300 MB on disk; a minute or two, once"
const requirements = join(import.meta.dirname, "requirements-mlflow.txt")
const venv = join(root, ".venv-mlflow")
const stampFile = join(venv, "tracelet-setup.txt")
const bin = join(venv, process.platform === "win32" ? "Scripts" : "bin")

/** Python of that environment. */
export const mlflowPython = join(bin, process.platform === "win32" ? "python.exe" : "python")

/** The environment holds absolute paths, so a moved clone makes a new one. */
const key = () =>
  createHash("sha256")
    .update([readFileSync(import.meta.filename, "utf8"), readFileSync(requirements, "utf8"), venv].join("\0"))
    .update(process.env["TRACELET_PYTHON"] ?? "")
    .digest("hex")

/** Whether the server is there as the requirements say. */
export const isMlflowInstalled = (): boolean =>
  existsSync(mlflowPython) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === key()

/** Makes the environment if it is not there. Resolves with the reason where this machine cannot have it. */
export const installMlflow = async (report: Report): Promise<{ readonly note: string; readonly missing?: string }> => {
  if (isMlflowInstalled()) return { note: "already there" }
  const { executable, hasPip, minor } = findPython()
  if (minor < oldestMinor) {
    const missing = `MLflow needs Python 3.${oldestMinor}, and ${executable} is 3.${minor}`
    return { note: `not to be had: ${missing}`, missing }
  }
  if (!hasPip) throw new StepError(venvAdvice)
  say(`      .venv-mlflow: ${size}`)
  rmSync(venv, { recursive: true, force: true })
  try {
    await run(executable, ["-m", "venv", venv], { report })
    const install = ["-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--requirement", requirements]
    await run(mlflowPython, install, { report, again: [mlflowPython, ...install].join(" ") })
  } catch (error) {
    if (!(error instanceof StepError)) throw error
    const missing = error.output.split("\n").findLast((line) => line.startsWith("ERROR:")) ?? error.message
    return { note: `not to be had: ${missing}`, missing }
  }
  writeFileSync(stampFile, key())
  return { note: "installed" }
}
