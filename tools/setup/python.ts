/**
 * The virtual environment `.venv` of this clone. Light: a Python that finds the module `tracelet` in its sources, made
 * in a tenth of a second without pip. Full: the same with sets of requirements, installed by pip, which (unlike uv)
 * reads a machine's pip configuration, and so takes the wheels it names.
 *
 * A file in `.venv` says what it was made from; a second start reads that file and nothing else.
 */
import { createHash } from "node:crypto"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { findPython, venvAdvice } from "./findPython.mjs"
import { root } from "./packages.mjs"
import { StepError, run, say, type Report } from "./steps.mjs"

type RequirementSet = "test" | "torch"

/** What a set takes, to be shown before it is fetched. */
const sizes: Record<RequirementSet, string> = {
  test: "about 20 MB to download",
  torch: "about 300 MB to download, 1.1 GB on disk; 1 to 5 minutes, once"
}

const venv = join(root, ".venv")
const stampFile = join(venv, "tracelet-setup.txt")
const isWindows = process.platform === "win32"
export const pythonPath = join(venv, isWindows ? "Scripts/python.exe" : "bin/python")
const sources = join(root, "packages", "bridge-python", "python", "src")

const requirementsFile = (set: RequirementSet) => join(import.meta.dirname, `requirements-${set}.txt`)

const hash = (...parts: ReadonlyArray<string>) => createHash("sha256").update(parts.join("\0")).digest("hex")

/** The environment holds absolute paths, so a moved clone makes a new one. */
const baseKey = () =>
  `base ${hash(readFileSync(import.meta.filename, "utf8"), sources, process.env["TRACELET_PYTHON"] ?? "")}`

const setKey = (set: RequirementSet) => `${set} ${hash(readFileSync(requirementsFile(set), "utf8"))}`

const readStamp = (): ReadonlyArray<string> =>
  existsSync(stampFile) && existsSync(pythonPath) ? readFileSync(stampFile, "utf8").split("\n") : []

const addToStamp = (key: string) => {
  const [name] = key.split(" ")
  const kept = readStamp().filter((line) => line !== "" && !line.startsWith(`${name} `))
  writeFileSync(stampFile, [...kept, key, ""].join("\n"))
}

/**
 * Makes the light environment if it is not there.
 * @public
 */
export const makeVenv = async (report: Report): Promise<"made" | "already there"> => {
  if (readStamp().includes(baseKey())) return "already there"
  const { executable } = findPython()
  report(`${executable} -m venv`)
  rmSync(venv, { recursive: true, force: true })
  await run(executable, ["-m", "venv", "--without-pip", venv], { report }).catch((error: unknown) => {
    throw error instanceof StepError && error.output.includes("No module named venv")
      ? new StepError(venvAdvice, { output: error.output })
      : error
  })
  const sitePackages = await run(pythonPath, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
  writeFileSync(join(sitePackages.trim(), "tracelet-bridge.pth"), `${sources}\n`)
  addToStamp(baseKey())
  return "made"
}

/** The minor version of the environment's Python 3, from the file that `venv` leaves in it. */
export const venvMinor = (): number =>
  Number(/^version = 3\.(\d+)/m.exec(readFileSync(join(venv, "pyvenv.cfg"), "utf8"))?.[1])

const pip = (args: ReadonlyArray<string>, report: Report) =>
  run(pythonPath, ["-m", "pip", "--disable-pip-version-check", ...args], {
    report,
    again: [pythonPath, "-m pip", ...args].join(" ")
  })

/** From this major version on pip can say what it would install (`--dry-run --report`); older Pythons bring older ones. */
const oldestPip = 23

const pipMajor = () =>
  run(pythonPath, ["-c", "import pip; print(pip.__version__)"]).then(
    (version) => Number(version.split(".")[0]),
    () => undefined
  )

const ensurePip = async (report: Report) => {
  const major = await pipMajor()
  if (major !== undefined && major >= oldestPip) return
  report("installing pip")
  await run(pythonPath, ["-m", "ensurepip", "--default-pip"], { report }).catch((error: unknown) => {
    throw error instanceof StepError && error.output.includes("No module named ensurepip")
      ? new StepError(venvAdvice, { output: error.output })
      : error
  })
  if (Number(await pipMajor()) < oldestPip) await pip(["install", "--upgrade", `pip>=${oldestPip}`], report)
}

/** Brings a set of requirements into the environment; `true` if it had to be installed. */
const ensureSet = async (set: RequirementSet, report: Report, install: () => Promise<void>): Promise<boolean> => {
  await makeVenv(report)
  if (readStamp().includes(setKey(set))) return false
  say(`      .venv, ${set}: ${sizes[set]}`)
  await ensurePip(report)
  await install()
  addToStamp(setKey(set))
  return true
}

/** pytest, ruff, mypy and the build back end. */
export const installTestTools = async (report: Report): Promise<string> => {
  const isNew = await ensureSet("test", report, async () => {
    await pip(["install", "--requirement", requirementsFile("test")], report)
  })
  return isNew ? "installed" : "already there"
}

/**
 * PyTorch and what builds on it. Resolves with the reason where this machine cannot have it, or could have it only
 * together with gigabytes of CUDA that nobody asked for.
 */
export const installTorch = async (report: Report): Promise<{ readonly note: string; readonly missing?: string }> => {
  let missing: string | undefined
  const isNew = await ensureSet("torch", report, async () => {
    const file = requirementsFile("torch")
    const [requirement] = readFileSync(file, "utf8").match(/^torch==.*$/m) ?? []
    if (requirement === undefined) throw new StepError(`${file} does not pin torch`)
    // Imported here: it brings Effect's Schema, which a second start has no use for.
    const { chooseTorch } = await import("./torch.ts")
    const options = await chooseTorch(requirement, (args) => pip(args, report), report)
    await pip(["install", ...options, requirement], report)
    await pip(["install", ...options, "--requirement", file], report)
  }).catch((error: unknown) => {
    if (!(error instanceof StepError)) throw error
    missing = error.output.split("\n").findLast((line) => line.startsWith("ERROR:")) ?? error.message
    return false
  })
  if (missing !== undefined) return { note: `not to be had: ${missing}`, missing }
  return { note: isNew ? "installed" : "already there" }
}
