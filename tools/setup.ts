/** `npm run setup`: everything `npm run check` needs, and nothing it does not. */
import { writeBundles } from "./bundle.ts"
import * as names from "./setup/commands.mjs"
import { installTestTools } from "./setup/python.ts"
import { makeSteps, runMain } from "./setup/steps.mjs"

await runMain(async () => {
  const { step } = makeSteps(names.commands["setup"] ?? [])
  await step(names.pythonTools, installTestTools)
  await step(names.bundle, writeBundles)
})
