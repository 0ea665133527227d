/**
 * Every bench of the first table, one after the other: prints the table of bench/README.md. A quarter of an hour on two quiet cores.
 * `npm run bench`
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"

const suites = ["python-log", "agent", "typescript-log", "journal", "show"]
let hasHead = false

for (const suite of suites) {
  process.stderr.write(`${suite} …\n`)
  const file = join(import.meta.dirname, suite, "benchmark.ts")
  const done = spawnSync(process.execPath, ["--conditions=@tracelet/source", file], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
  if (done.status !== 0) {
    console.error(`${suite} ended with ${done.status}`)
    process.exitCode = 1
    continue
  }
  const lines = done.stdout.trimEnd().split("\n")
  // The head once: the machine, the names of the columns.
  const isHead = (line: string): boolean =>
    !line.startsWith("|") || line.startsWith("| what") || line.startsWith("| ---")
  for (const line of lines) if (!isHead(line) || !hasHead) console.log(line)
  hasHead = true
}
