/**
 * `tsc -b` with Effect's own checks (a floating effect, a `yield` without its star) where their compiler exists for this
 * platform, and plain TypeScript elsewhere.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { root } from "./setup/packages.mjs"

const bin = join(root, "node_modules", ".bin")
const shell = process.platform === "win32"

const effectTsgo = (): string | undefined => {
  const { stdout } = spawnSync(join(bin, "effect-tsgo"), ["get-exe-path"], { encoding: "utf8", shell })
  const path = stdout.trim()
  return path !== "" && existsSync(path) ? path : undefined
}

const compiler = effectTsgo()
if (compiler === undefined)
  console.log(`no @effect/tsgo for ${process.platform}-${process.arch}: plain tsc checks less`)
const args = ["-b", ...process.argv.slice(2)]
const { status } = spawnSync(compiler ?? join(bin, "tsc"), args, {
  cwd: root,
  stdio: "inherit",
  shell: shell && compiler === undefined
})
process.exitCode = status ?? 1
