/** Finds a Python that is new enough. Plain JavaScript for Node 18: `start.mjs` asks before it installs anything. */
import { spawnSync } from "node:child_process"
import process from "node:process"
import { StepError } from "./steps.mjs"

/** The oldest minor version of Python 3 that the module supports (requires-python in pyproject.toml). */
const oldestMinor = 9

/** Prints version, prefix and which of the standard modules that Debian packages separately are missing. */
const question = `import sys
missing = []
for name in ("venv", "ensurepip"):
    try: __import__(name)
    except ImportError: missing.append(name)
print("%d %d" % sys.version_info[:2], ",".join(missing) or "-", sys.executable)`

/**
 * @typedef {{ executable: string, minor: number, hasVenv: boolean, hasPip: boolean }} Python whether it can make
 *   environments, and can put pip into them
 * @returns {Python}
 */
export const findPython = () => {
  const asked = process.env["TRACELET_PYTHON"]
  const names = asked === undefined ? ["python3", "python"] : [asked]
  /** @type {Array<string>} */
  const refused = []
  for (const name of names) {
    const { error, status, stdout } = spawnSync(name, ["-c", question], { encoding: "utf8", timeout: 20_000 })
    const found = status === 0 ? /^(\d+) (\d+) (\S+) (.+)/.exec(stdout) : null
    if (found === null) {
      refused.push(`${name} ${error === undefined ? `ends with code ${status}` : "is not there"}`)
      continue
    }
    const [, major = "", minor = "", missing = "", executable = ""] = found
    if (Number(major) === 3 && Number(minor) >= oldestMinor) {
      return { executable, minor: Number(minor), hasVenv: !missing.includes("venv"), hasPip: missing === "-" }
    }
    refused.push(`${name} is Python ${major}.${minor}`)
  }
  throw new StepError(
    [
      `tracelet needs Python 3.${oldestMinor} or newer: ${refused.join(", ")}.`,
      asked === undefined
        ? "Install one (Debian and Ubuntu: apt install python3 python3-venv), or name one with TRACELET_PYTHON=/path/to/python3."
        : "TRACELET_PYTHON names it: correct the variable or remove it."
    ].join("\n")
  )
}

export const venvAdvice =
  "This Python lacks its `venv` or `ensurepip` module. Debian and Ubuntu have them in a package: apt install python3-venv"
