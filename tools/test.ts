/**
 * `npm test`, the full run: sets everything up, checks everything, goes on after a failure, and ends with one line that
 * counts the tests of all languages. A step that is no test runner counts as one test.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { checks, reportsIn, slowChecks } from "./checks.ts"
import * as Counts from "./counts.ts"
import { runGraph, type Outcome } from "./graph.ts"
import * as names from "./setup/commands.mjs"
import { installMlflow } from "./setup/mlflow.ts"
import { installTestTools, installTorch } from "./setup/python.ts"
import { root } from "./setup/packages.mjs"
import { makeSteps, runMain, say } from "./setup/steps.mjs"

const fullRun = async (): Promise<Counts.Counts> => {
  const { step } = makeSteps(names.commands["test"] ?? [])
  let missingTorch: string | undefined
  await step(names.pythonTools, installTestTools)
  await step(names.torch, async (report) => {
    const { missing, note } = await installTorch(report)
    missingTorch = missing
    return note
  })
  // Where it is missing, the tests on a real server are skipped by name.
  await step(names.mlflow, async (report) => (await installMlflow(report)).note)

  const folder = mkdtempSync(join(tmpdir(), "tracelet-test-"))
  const reports = reportsIn(folder)
  const steps = [...checks(reports), ...slowChecks(reports, missingTorch)]
  const countsOf = (name: string, outcome: Outcome): Counts.Counts => {
    if (outcome === "skipped") return Counts.oneSkipped
    const hasPassed = outcome === "passed"
    switch (name) {
      case "tests":
        return Counts.ofRunner(Counts.fromVitest, reports.vitest, hasPassed)
      case "Python tests":
        return Counts.ofRunner(Counts.fromJunit, reports.pytest, hasPassed)
      case "Python tests with PyTorch":
        return Counts.ofRunner(Counts.fromJunit, reports.pytestTorch, hasPassed)
      default:
        return hasPassed ? Counts.onePassed : Counts.oneFailed
    }
  }
  try {
    let sum = Counts.none
    await step(names.checksAndTests, async () => {
      const outcomes = await runGraph(steps, "go on")
      const rows = [...outcomes].map(([name, outcome]) => ({ name, counts: countsOf(name, outcome) }))
      say("")
      for (const { counts, name } of rows) {
        say(`  ${name.padEnd(26)} ${Counts.show(counts)}`)
      }
      const left = [
        ...[...outcomes].filter(([, outcome]) => outcome === "skipped").map(([name]) => name),
        ...Counts.skippedIn((json) => Counts.skippedByVitest(json, root), reports.vitest),
        ...[reports.pytest, reports.pytestTorch].flatMap((file) => Counts.skippedIn(Counts.skippedByJunit, file))
      ]
      if (left.length > 0) {
        say("")
        say("  skipped:")
        for (const name of left) say(`  - ${name}`)
      }
      sum = Counts.sum(rows.map(({ counts }) => counts))
      return undefined
    })
    return sum
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

let total = Counts.oneFailed
await runMain(async () => {
  total = await fullRun()
  if (total.failed > 0) process.exitCode = 1
})
console.log(Counts.show(total))
