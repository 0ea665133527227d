/** What both demos do once all is set up: train, show each run, and say where the data lies and what to type next. */
import { spawnSync } from "node:child_process"
import { join, relative, resolve } from "node:path"
import { styleText } from "node:util"
import { root } from "../setup/packages.mjs"
import { pythonPath } from "../setup/python.ts"
import { StepError, showDuration } from "../setup/steps.mjs"
import { commandOf, environment, train, verdict, type Outcome, type Training } from "./training.ts"

export interface NamedTraining extends Training {
  /** The run's. */
  readonly name: string
}

/** Where the commands below look, too, when they are typed in the root of the clone. */
const folder = resolve(root, process.env["TRACELET_DIR"] ?? ".tracelet")

const cli = join(root, "packages", "cli", "bin", "tracelet.mjs")

const heading = (text: string) => console.log(`\n${styleText("bold", text)}`)
const command = (text: string) => console.log(styleText("cyan", `$ ${text}`))

/** On this process's own terminal, so that it has its colours and its width. */
const tracelet = (args: ReadonlyArray<string>) => {
  command(`npx tracelet ${args.join(" ")}`)
  const { status } = spawnSync(process.execPath, [cli, ...args], {
    cwd: root,
    env: environment(folder),
    stdio: "inherit"
  })
  if (status !== 0) throw new StepError(`npx tracelet ${args.join(" ")} ended with code ${status}`)
}

/** Commands, and what each is for, in two columns. */
const advise = (lines: ReadonlyArray<readonly [command: string, purpose: string]>) => {
  const width = Math.max(...lines.map(([text]) => text.length))
  for (const [text, purpose] of lines) console.log(`  ${styleText("cyan", text.padEnd(width))}  ${purpose}`)
}

/** Exit code 1 when the store lacks anything. */
export const play = async (
  trainings: ReadonlyArray<NamedTraining>,
  next: ReadonlyArray<readonly [command: string, purpose: string]>
) => {
  const outcomes: Array<Outcome> = []
  for (const training of trainings) {
    heading(training.title)
    command(commandOf(training))
    const started = Date.now()
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as each is watched
    outcomes.push(await train(training, folder, (line) => console.log(`  ${line}`)))
    console.log(`  ${showDuration(Date.now() - started)}`)
  }
  for (const { run } of outcomes) {
    console.log()
    tracelet(["show", run.slice(0, 8)])
  }

  heading("Is all of it there?")
  const verdicts = trainings.flatMap(({ name }, i) => {
    const outcome = outcomes[i]
    return outcome === undefined ? [] : [verdict(name, outcome)]
  })
  for (const { isWhole, text } of verdicts) console.log(`  ${styleText(isWhole ? "green" : "red", text)}`)
  if (verdicts.some(({ isWhole }) => !isWhole)) process.exitCode = 1

  heading("Where it lies")
  console.log(`  ${folder}: a journal for each run in runs/, and store.db, which the commands below read`)

  heading("What to type next")
  advise(next)
  console.log(`\n  And your own, with ${relative(root, pythonPath)}:\n`)
  for (const line of ownProgram) console.log(`      ${styleText("cyan", line)}`)
}

const ownProgram = [
  "import tracelet",
  'with tracelet.start_logging("mine") as run:',
  "    for i in range(1000):",
  '        run.log({"root": i ** 0.5}, step=i)'
]
