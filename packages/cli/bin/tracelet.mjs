#!/usr/bin/env node
// The `tracelet` command: one bundled file behind Node's compile cache, so that a start costs milliseconds.
import { existsSync } from "node:fs"
import module, { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

/** `node:sqlite` and zstd are in it; without them the bundle would end in a stack trace. */
const nodeMajorMin = 24

const bundle = fileURLToPath(new URL("../dist/tracelet.cjs", import.meta.url))
if (Number.parseInt(process.versions.node, 10) < nodeMajorMin) {
  console.error(
    `tracelet: Node ${nodeMajorMin} or newer is needed, and this is ${process.versions.node} (${process.execPath}). ` +
      "Install it from https://nodejs.org, or in a clone run `npx tracelet`, which brings its own."
  )
  process.exitCode = 1
} else if (existsSync(bundle)) {
  module.enableCompileCache?.()
  createRequire(import.meta.url)(bundle)
} else {
  console.error(`tracelet: it is not built: ${bundle} is missing. Run \`npm run build\` in the clone.`)
  process.exitCode = 1
}
