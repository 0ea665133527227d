#!/usr/bin/env node
// The `tracelet` command: one bundled file behind Node's compile cache, so that a start costs milliseconds.
import { existsSync } from "node:fs"
import module, { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

const bundle = fileURLToPath(new URL("../dist/tracelet.cjs", import.meta.url))
if (existsSync(bundle)) {
  module.enableCompileCache?.()
  createRequire(import.meta.url)(bundle)
} else {
  console.error(`tracelet is not built: ${bundle} is missing. Run \`npm run build\` in the clone.`)
  process.exitCode = 1
}
