/**
 * Bundles the agent for the Python package and the command for the npm package: one minified CommonJS file each, since
 * that starts in a quarter of the time of the modules (ESM output of the same takes 16 ms longer).
 *
 * Does nothing where the sources, the lock and this file are what the last bundles were made from.
 */
import { createHash } from "node:crypto"
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { root } from "./setup/packages.mjs"
import { StepError, runMain, type Report } from "./setup/steps.mjs"

const agentFolder = join(root, "packages", "bridge-python", "python", "src", "tracelet", "_agent")
const cli = join(root, "packages", "cli")
/** The agent is in both packages: a trainer starts its own, and `tracelet agent start` the one beside the command. */
const bundles = [
  { entry: join(cli, "src", "agentMain.ts"), files: [join(agentFolder, "agent.cjs"), join(cli, "dist", "agent.cjs")] },
  { entry: join(cli, "src", "main.ts"), files: [join(cli, "dist", "tracelet.cjs")] }
]
const loader = {
  entry: join(import.meta.dirname, "agentStart.cjs"),
  files: [join(agentFolder, "start.cjs"), join(cli, "dist", "start.cjs")]
}
/** Lets a Python process in this clone find a Node that is new enough; it never leaves the clone. */
const nodePath = join(agentFolder, "node.path")
const stampFile = join(root, "node_modules", ".cache", "tracelet-bundle.txt")

const digestOfInputs = (): string => {
  const files = ["package-lock.json", "tools/bundle.ts", "tools/agentStart.cjs"]
  const sources = globSync("packages/*/{package.json,src/**/*}", { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const digest = createHash("sha256").update(process.execPath)
  for (const file of [...files.map((name) => join(root, name)), ...sources.toSorted()]) {
    digest.update(`\0${file}\0`).update(readFileSync(file))
  }
  return digest.digest("hex")
}

/** Whoever runs the old bundle at this moment keeps a whole file. */
const replaceFile = (file: string, text: string) => {
  mkdirSync(dirname(file), { recursive: true })
  const fresh = `${file}.${process.pid}`
  writeFileSync(fresh, text)
  renameSync(fresh, file)
}

const bundle = async (entry: string, files: ReadonlyArray<string>): Promise<string> => {
  // Imported here: a start that finds its bundles made does not load the bundler.
  const { rolldown } = await import("rolldown")
  const build = await rolldown({
    input: entry,
    platform: "node",
    resolve: { conditionNames: ["@tracelet/source", "node", "import", "default"] },
    // An import that is not found would be left in, and fail at the user's.
    onLog: (level, log, next) => next(log.code === "UNRESOLVED_IMPORT" ? "error" : level, log)
  })
  const { output } = await build
    .generate({ format: "cjs", minify: true, codeSplitting: false })
    .catch((error: unknown) => {
      throw new StepError(error instanceof Error ? error.message : String(error), { again: "npm run build" })
    })
    .finally(() => build.close())
  const [chunk, ...others] = output
  if (others.length > 0) throw new StepError(`${entry} became ${output.length} files instead of one`)
  for (const file of files) replaceFile(file, chunk.code)
  return `${Math.round(chunk.code.length / 1024)} KB`
}

/** Resolves with the sizes, or with a word that nothing was to do. */
export const writeBundles = async (report: Report): Promise<string> => {
  const digest = digestOfInputs()
  const outputs = [...bundles.flatMap(({ files }) => files), ...loader.files, nodePath]
  if (outputs.every(existsSync) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === digest) {
    return "unchanged"
  }
  const sizes: Array<string> = []
  for (const { entry, files } of bundles) {
    report(files.join(", "))
    sizes.push(await bundle(entry, files))
  }
  for (const file of loader.files) replaceFile(file, readFileSync(loader.entry, "utf8"))
  replaceFile(nodePath, process.execPath)
  replaceFile(stampFile, digest)
  return sizes.join(", ")
}

if (import.meta.main) {
  await runMain(async () => console.log(await writeBundles(console.log)))
}
