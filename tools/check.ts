/** `npm run check`: everything a change has to pass, stopping at the first failure. */
import { checks } from "./checks.ts"
import { runGraph } from "./graph.ts"
import { installTestTools } from "./setup/python.ts"
import { runMain, showDuration } from "./setup/steps.mjs"

await runMain(async () => {
  const started = Date.now()
  await installTestTools(() => {})
  const outcomes = await runGraph(checks(), "stop")
  const isGreen = [...outcomes.values()].every((outcome) => outcome === "passed" || outcome === "skipped")
  console.log(`${isGreen ? "all green" : "stopped"} after ${showDuration(Date.now() - started)}`)
  if (!isGreen) process.exitCode = 1
})
