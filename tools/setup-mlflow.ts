/** `npm run setup:mlflow`: the MLflow server that the live tests of `packages/backend-mlflow` start. */
import * as names from "./setup/commands.mjs"
import { installMlflow } from "./setup/mlflow.ts"
import { StepError, makeSteps, runMain } from "./setup/steps.mjs"

await runMain(async () => {
  const { step } = makeSteps(names.commands["setup-mlflow"] ?? [])
  await step(names.mlflow, async (report) => {
    const { missing, note } = await installMlflow(report)
    if (missing !== undefined) throw new StepError(note, { again: "npm run setup:mlflow" })
    return note
  })
})
