/**
 * `npm run soak -- [--rate POINTS] [--seconds N] [--checkpoint MB]`: a trainer at a steady pace (5,000 points a second for ten minutes)
 * under an agent, beside a checkpoint (1 GB every ten seconds) on the same disk; exit code 1 when memory grows, the store lags or a point is
 * missing.
 */
import { parseArgs } from "node:util"
import { writeBundles } from "./bundle.ts"
import * as names from "./setup/commands.mjs"
import { makeVenv } from "./setup/python.ts"
import { StepError, makeSteps, runMain } from "./setup/steps.mjs"
import { judge, soak } from "./soak/soak.ts"

const usage = "usage: npm run soak -- [--rate POINTS] [--seconds N] [--checkpoint MB]"

const whole = (name: string, text: string): number => {
  if (!/^\d{1,7}$/.test(text))
    throw new StepError(`--${name} takes a whole number, not ${JSON.stringify(text)}\n${usage}`)
  return Number(text)
}

const given = () => {
  try {
    return parseArgs({
      options: { rate: { type: "string" }, seconds: { type: "string" }, checkpoint: { type: "string" } }
    }).values
  } catch (error) {
    throw new StepError(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
  }
}

/** Lines of samples at most. */
const linesMax = 30

await runMain(async () => {
  const { checkpoint = "1024", rate = "5000", seconds = "600" } = given()
  const options = {
    rate: whole("rate", rate),
    seconds: whole("seconds", seconds),
    checkpointMb: whole("checkpoint", checkpoint)
  }
  const { heading, step } = makeSteps(names.commands["soak"] ?? [])
  await step(names.python, makeVenv)
  await step(names.bundle, writeBundles)
  heading(names.soak)
  const every = Math.ceil(options.seconds / linesMax)
  console.log("second      points  trainer MB  agent MB  points behind")
  const result = await soak(options, ({ agent, behind, logged, second, trainer }) => {
    if (second % every !== 0) return
    const cells = [logged.toLocaleString("en"), trainer.toFixed(1), agent.toFixed(1), behind.toLocaleString("en")]
    const widths = [11, 11, 9, 14]
    console.log(`${String(second).padStart(6)} ${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join(" ")}`)
  })
  console.log("")
  const judged = judge(result, options)
  for (const { figure, isMet, what } of judged) console.log(`${isMet ? "✓" : "✗"}  ${what}: ${figure}`)
  console.log(`   the longest call of log_metric: ${result.slowestMs.toFixed(2)} ms`)
  if (judged.some(({ isMet }) => !isMet)) process.exitCode = 1
})
