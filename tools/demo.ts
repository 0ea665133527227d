/**
 * `npm run demo`: two trainings on real data, one in Python and one in TypeScript, and what tracelet has of them.
 * `tools/start.mjs` has installed the packages; nothing else is downloaded.
 */
import { writeBundles } from "./bundle.ts"
import { play, type NamedTraining } from "./demo/demo.ts"
import * as names from "./setup/commands.mjs"
import { makeVenv, pythonPath } from "./setup/python.ts"
import { makeSteps, runMain } from "./setup/steps.mjs"

const trainings: ReadonlyArray<NamedTraining> = [
  {
    name: "digits",
    title: "Python, standard library only: a network learns to read handwritten digits",
    program: pythonPath,
    args: ["examples/python-digits/train.py"]
  },
  {
    name: "wine",
    title: "TypeScript, an Effect program: which grower does a wine come from?",
    program: process.execPath,
    args: ["--conditions=@tracelet/source", "examples/effect-wine/train.ts"]
  }
]

await runMain(async () => {
  const { heading, step } = makeSteps(names.commands["demo"] ?? [])
  await step(names.python, makeVenv)
  await step(names.bundle, writeBundles)
  heading(names.demo)
  await play(trainings, [
    ["npx tracelet runs", "these runs, and every later one"],
    ["npx tracelet show digits --series loss", "the newest run of that name, some of its series"],
    ["npx tracelet export wine -o wine.jsonl", "everything one logged, a JSON object a line"],
    ["npx tracelet --help", "what else there is"],
    ["npm run demo:torch", "PyTorch, Lightning and TensorBoard (about 300 MB to download)"]
  ])
})
