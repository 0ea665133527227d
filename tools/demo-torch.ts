/**
 * `npm run demo:torch`: CPU PyTorch, Lightning and TensorBoard into `.venv`, two trainings with them, and what tracelet has
 * of those. Where PyTorch is not to be had it says why, and ends well.
 */
import { writeBundles } from "./bundle.ts"
import { play, type NamedTraining } from "./demo/demo.ts"
import * as names from "./setup/commands.mjs"
import { installTorch, makeVenv, pythonPath } from "./setup/python.ts"
import { makeSteps, runMain } from "./setup/steps.mjs"

const trainings: ReadonlyArray<NamedTraining> = [
  {
    name: "torch-digits",
    title: "PyTorch with a SummaryWriter: a small convolutional network",
    program: pythonPath,
    args: ["examples/torch-tensorboard/train.py"]
  },
  {
    name: "lightning-digits",
    title: "Lightning: a module that logs tensors",
    program: pythonPath,
    args: ["examples/lightning/train.py"]
  }
]

await runMain(async () => {
  const { heading, step } = makeSteps(names.commands["demo-torch"] ?? [])
  let reason: string | undefined
  await step(names.python, makeVenv)
  await step(names.torch, async (report) => {
    const { missing, note } = await installTorch(report)
    reason = missing
    return note
  })
  if (reason !== undefined) {
    for (const { name } of trainings) console.log(`skipped: ${name}: PyTorch is not to be had here: ${reason}`)
    return
  }
  await step(names.bundle, writeBundles)
  heading(names.demo)
  await play(trainings, [
    ["npx tracelet runs", "these runs, and every later one"],
    ["npx tracelet show torch-digits --all", "the newest run of that name, with all its series"],
    ["npx tracelet show lightning-digits --series 'val/*'", "some series"],
    ["npx tracelet export torch-digits -o torch.jsonl", "everything one logged, a JSON object a line"]
  ])
})
