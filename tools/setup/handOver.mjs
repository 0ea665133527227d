/**
 * Brings in the packages (among them the Node this repository is written for) and hands over to `tools/<command>.ts`
 * on that Node. Plain JavaScript for Node 18; `tools/start.mjs` has looked at the version.
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { delimiter, join } from "node:path"
import process from "node:process"
import { commands, mlflow, packages, pythonTools, torch } from "./commands.mjs"
import { findPython, venvAdvice } from "./findPython.mjs"
import { installPackages, isInstalled, pinnedNode, root } from "./packages.mjs"
import { StepError, makeSteps, runMain } from "./steps.mjs"

/** From here on the user's own Node runs everything, if the pinned one does not start. */
const goodMajor = 24

/** The pinned Node, or the user's own when that one cannot run here and theirs is new enough. */
const chooseNode = () => {
  const node = pinnedNode()
  const trial = node === undefined ? undefined : spawnSync(node, ["--version"], { encoding: "utf8" })
  if (node !== undefined && trial?.status === 0) return node
  if (Number(process.versions.node.split(".")[0]) >= goodMajor) return process.execPath
  const why =
    trial === undefined
      ? "was not found (npm leaves it out with --omit=optional)"
      : `does not start here:\n${trial.error?.message ?? trial.stderr.trim()}`
  throw new StepError(
    `The Node ${goodMajor} that comes with the packages ${why}\n` +
      "Where the reason names GLIBC or a missing file, this system's C library is too old for it, or is musl (Alpine).\n" +
      `Install Node ${goodMajor} in a way that suits this system, put it first on PATH, and start again.`
  )
}

await runMain(async () => {
  const [command = "", ...args] = process.argv.slice(2)
  const plan = commands[command]
  const tool = join(root, "tools", `${command}.ts`)
  if (plan === undefined || !existsSync(tool)) {
    const known = Object.keys(commands).filter((name) => existsSync(join(root, "tools", `${name}.ts`)))
    throw new StepError(`There is no "${command}" to start here. There is: ${known.join(", ")}.`)
  }

  // Asked before minutes go into an installation that would end at this sentence.
  if (!isInstalled() && !existsSync(join(root, ".venv"))) {
    const { hasPip, hasVenv } = findPython()
    const needsPip = [pythonTools, torch, mlflow].some((step) => plan.includes(step))
    if (!hasVenv || (needsPip && !hasPip)) throw new StepError(venvAdvice)
  }
  await makeSteps(plan).step(packages, async (report) => {
    if (isInstalled()) return "already there"
    await installPackages(report)
    return undefined
  })

  // Tools read the packages' sources: nothing is built before the first start.
  const child = spawn(chooseNode(), ["--conditions=@tracelet/source", tool, ...args], {
    cwd: root,
    env: { ...process.env, PATH: [join(root, "node_modules", ".bin"), process.env["PATH"]].join(delimiter) },
    stdio: "inherit"
  })
  // An interrupt typed at the terminal reaches the child by itself; this process only waits for how it ends.
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => child.kill("SIGTERM"))
  process.exitCode = await new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)))
})
