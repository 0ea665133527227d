/**
 * Every bench of the table, one after the other: prints the table of bench/README.md. Half an hour on two quiet cores.
 * `npm run bench`, `npm run bench -- --only growth,disk`
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"

const suites = [
  "python-log",
  "agent",
  "typescript-log",
  "journal",
  "show",
  "growth",
  "backlog",
  "disk",
  "runs",
  "stopping",
  "isolation"
]
const { help, only } = parseArgs({ options: { only: { type: "string" }, help: { type: "boolean" } } }).values
if (help === true) {
  console.log(`usage: npm run bench [-- --only NAME,…]; the suites are ${suites.join(", ")}`)
  process.exit()
}
const chosen = only === undefined ? suites : only.split(",")
const unknown = chosen.filter((name) => !suites.includes(name))
if (unknown.length > 0) {
  console.error(`There is no suite ${unknown.join(", ")}; there are ${suites.join(", ")}.`)
  process.exit(2)
}
let hasHead = false

for (const suite of chosen) {
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
