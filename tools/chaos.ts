/**
 * `npm run chaos -- [--scenario NAME,…] [--count N] [--seed S] [--keep] [--list]`: kills, stops and crowds the processes that log and
 * deliver, and asks of every round what became of each point; exit code 1 when anything is amiss.
 */
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { writeBundles } from "./bundle.ts"
import { play, portions, scenarios, type Report, type Round } from "./chaos/chaos.ts"
import type { Scenario } from "./chaos/scenario.ts"
import * as names from "./setup/commands.mjs"
import { makeVenv, pythonPath } from "./setup/python.ts"
import { StepError, makeSteps, runMain, showDuration } from "./setup/steps.mjs"

const usage =
  "usage: npm run chaos -- [--scenario NAME,…] [--count N] [--seed S] [--keep] [--list]; a scenario is played once at least"

const whole = (name: string, text: string) => {
  if (!/^\d{1,9}$/.test(text))
    throw new StepError(`--${name} takes a whole number, not ${JSON.stringify(text)}\n${usage}`)
  return Number(text)
}

const options = () => {
  try {
    return parseArgs({
      options: {
        scenario: { type: "string" },
        count: { type: "string" },
        seed: { type: "string" },
        keep: { type: "boolean" },
        list: { type: "boolean" }
      }
    }).values
  } catch (error) {
    throw new StepError(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
  }
}

const chosen = (wanted: string | undefined): ReadonlyArray<Scenario> =>
  wanted === undefined
    ? scenarios
    : wanted.split(",").map((name) => {
        const found = scenarios.find((scenario) => scenario.name === name)
        if (found !== undefined) return found
        throw new StepError(`There is no scenario ${JSON.stringify(name)}: --list shows those there are.\n${usage}`)
      })

const show = (number: number) => number.toLocaleString("en")

const describe = ({ acknowledged, findings, ms, number, statuses, stored, what }: Round) =>
  [
    `${String(number).padStart(4)}  ${show(acknowledged).padStart(9)} acknowledged, ${show(stored).padStart(9)} in the store, ` +
      `${[...new Set(statuses)].join(", ") || "no run yet"}, ${showDuration(ms)}: ${what}`,
    ...findings.map(({ _tag, detail }) => `      ${_tag.toUpperCase()}: ${detail}`)
  ].join("\n")

const sum = (rounds: ReadonlyArray<Round>, of: (round: Round) => number) =>
  show(rounds.reduce((total, round) => total + of(round), 0))

const summary = (name: string, rounds: ReadonlyArray<Round>): string => {
  const found = Map.groupBy(
    rounds.flatMap(({ findings }) => findings),
    ({ _tag }) => _tag
  )
  const findings = [...found].map(([tag, alike]) => `${alike.length} ${tag}`).join(", ")
  return [
    name.padEnd(10),
    show(rounds.length).padStart(6),
    sum(rounds, ({ acknowledged }) => acknowledged).padStart(13),
    sum(rounds, ({ stored }) => stored).padStart(13),
    ` ${findings || "nothing"}`
  ].join(" ")
}

await runMain(async () => {
  const given = options()
  if (given.list === true) {
    for (const { about, name } of scenarios) console.log(`${name.padEnd(10)} ${about}`)
    return
  }
  const count = whole("count", given.count ?? "50")
  const seed = whole("seed", given.seed ?? String(Math.floor(Math.random() * 1e6)))
  const keep = given.keep ?? false
  const parts = portions(chosen(given.scenario), count)
  const { heading, step } = makeSteps(names.commands["chaos"] ?? [])
  await step(names.python, makeVenv)
  await step(names.bundle, writeBundles)
  heading(names.chaos)

  const started = Date.now()
  const abort = new AbortController()
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => abort.abort())
  const reports = new Map<Scenario, Report>()
  const skipped = new Map<Scenario, string>()
  for (const [scenario, rounds] of parts) {
    const reason = scenario.skip?.()
    if (reason !== undefined) {
      console.log(`${scenario.name}: skipped, ${reason}`)
      skipped.set(scenario, reason)
      continue
    }
    console.log(`${scenario.name}: ${scenario.about}; ${rounds} rounds, seed ${seed}`)
    const onRound = (round: Round) => console.log(describe(round))
    const playing = play({ scenario, count: rounds, seed, python: pythonPath, keep, onRound })
    reports.set(scenario, await Effect.runPromise(playing, { signal: abort.signal }))
  }

  const all = [...reports.values()].flatMap(({ rounds }) => rounds)
  console.log(`\nscenario   rounds  acknowledged  in the store  found`)
  for (const [scenario, { rounds }] of reports) console.log(summary(scenario.name, rounds))
  for (const [{ name }, reason] of skipped) console.log(`${name.padEnd(10)} skipped: ${reason}`)
  console.log(summary("all", all))
  console.log(`${show(all.length)} rounds in ${showDuration(Date.now() - started)}, seed ${seed}`)
  for (const [{ name }, { folder, rounds }] of reports) {
    const isFound = rounds.some(({ findings }) => findings.length > 0)
    if (isFound) console.log(`again: npm run chaos -- --scenario ${name} --count ${rounds.length} --seed ${seed}`)
    if (isFound || keep) console.log(`the runs: TRACELET_DIR=${folder} npx tracelet runs`)
    if (isFound) process.exitCode = 1
  }
})
