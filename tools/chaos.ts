/** `npm run chaos -- [--count N] [--seed S] [--keep]`: kills trainers at random moments; exit code 1 when anything is amiss. */
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { writeBundles } from "./bundle.ts"
import { play, type Round } from "./chaos/chaos.ts"
import * as names from "./setup/commands.mjs"
import { makeVenv, pythonPath } from "./setup/python.ts"
import { StepError, makeSteps, runMain, showDuration } from "./setup/steps.mjs"

const usage = "usage: npm run chaos -- [--count N] [--seed S] [--keep]"

const whole = (name: string, text: string) => {
  if (!/^\d{1,9}$/.test(text))
    throw new StepError(`--${name} takes a whole number, not ${JSON.stringify(text)}\n${usage}`)
  return Number(text)
}

const options = () => {
  try {
    return parseArgs({ options: { count: { type: "string" }, seed: { type: "string" }, keep: { type: "boolean" } } })
      .values
  } catch (error) {
    throw new StepError(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
  }
}

const describe = ({ acknowledged, findings, moment, number, status, stored }: Round) => {
  const when = `${moment.ms.toFixed(0).padStart(3)} ms after its ${moment.after === "start" ? "start      " : "first point"}`
  const points = `${acknowledged.toLocaleString("en").padStart(8)} acknowledged, ${stored.toLocaleString("en").padStart(8)} in the store`
  const writer = moment.writer === "write" ? ", a write a point" : ""
  const agent = moment.agentMs === undefined ? "" : `, the agent killed ${moment.agentMs.toFixed(0)} ms later`
  return [
    `${String(number).padStart(4)}  ${when}: ${points}, ${status ?? "no run yet"}${writer}${agent}`,
    ...findings.map(({ _tag, detail }) => `      ${_tag.toUpperCase()}: ${detail}`)
  ].join("\n")
}

await runMain(async () => {
  const given = options()
  const count = whole("count", given.count ?? "50")
  const seed = whole("seed", given.seed ?? String(Math.floor(Math.random() * 1e6)))
  const keep = given.keep ?? false
  const { heading, step } = makeSteps(names.commands["chaos"] ?? [])
  await step(names.python, makeVenv)
  await step(names.bundle, writeBundles)
  heading(names.chaos)
  console.log(`${count} trainers are killed, seed ${seed}`)
  const started = Date.now()
  const onRound = (round: Round) => console.log(describe(round))
  const { folder, rounds } = await Effect.runPromise(play({ count, seed, python: pythonPath, keep, onRound }))

  const sum = (of: (round: Round) => number) =>
    rounds.reduce((total, round) => total + of(round), 0).toLocaleString("en")
  const findings = rounds.flatMap((round) => round.findings)
  console.log(
    `\n${count} killed in ${showDuration(Date.now() - started)}, seed ${seed}: ` +
      `${sum(({ acknowledged }) => acknowledged)} points acknowledged, ${sum(({ stored }) => stored)} in the store`
  )
  const counts = Map.groupBy(findings, ({ _tag }) => _tag)
  console.log(
    findings.length === 0
      ? "found nothing: none lost, doubled, altered or out of order, every run killed, no dead letter, no hang"
      : `found: ${[...counts].map(([tag, of]) => `${of.length} ${tag}`).join(", ")}; all of it is kept in ${folder}\n` +
          `the same moments again: npm run chaos -- --count ${count} --seed ${seed}`
  )
  if (keep) console.log(`the runs: TRACELET_DIR=${folder} npx tracelet runs`)
  if (findings.length > 0) process.exitCode = 1
})
