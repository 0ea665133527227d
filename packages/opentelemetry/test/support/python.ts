/** Programs of Python in the repository's own environment: others' decoders read what this package sends. */
import { spawnSync } from "node:child_process"
import { pythonPath } from "../../../../tools/setup/python.ts"

/** Whether a module is there; Pythons before 3.10 lack those that are asked for here. */
export const hasModule = (name: string): boolean =>
  spawnSync(pythonPath, ["-c", `import ${name}`], { stdio: "ignore" }).status === 0

/** Runs a program with `input`, and gives the JSON that it prints. */
export const run = (program: string, input: Uint8Array | string): unknown => {
  const { status, stderr, stdout } = spawnSync(pythonPath, ["-c", program], { input, maxBuffer: 2 ** 28 })
  if (status !== 0) throw new Error(stderr.toString())
  return JSON.parse(stdout.toString())
}
