/**
 * Packs every package as it would be published and looks at the result: publint at the manifest, arethetypeswrong at
 * how the types resolve. Needs the output of `tsc -b`.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "./setup/packages.mjs"
import { run, runMain } from "./setup/steps.mjs"

const shell = process.platform === "win32"

await runMain(async () => {
  const folder = mkdtempSync(join(tmpdir(), "tracelet-packed-"))
  try {
    await run("npm", ["pack", "--workspaces", "--silent", "--pack-destination", folder], { cwd: root, shell })
    for (const name of readdirSync(folder)) {
      const tarball = join(folder, name)
      // oxlint-disable no-await-in-loop -- one at a time: another step of the same run has the other core
      await run("publint", ["run", "--strict", tarball], { cwd: root, shell, again: "npx node tools/packed.ts" })
      await run("attw", ["--profile", "esm-only", "--no-emoji", tarball], {
        cwd: root,
        shell,
        again: "npx node tools/packed.ts"
      })
      // oxlint-enable no-await-in-loop
      console.log(`${name}: ${Math.round(readFileSync(tarball).length / 1024)} KB`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
