/** Builds wheel and sdist of the Python module as they would be published, and looks at what is in them. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "./setup/packages.mjs"
import { pythonPath } from "./setup/python.ts"
import { StepError, run, runMain } from "./setup/steps.mjs"

const again = "npx node tools/wheel.ts"

/** Git ignores the bundle, so only a look shows that the build took it; the path of this clone's Node has to stay here. */
const wanted = ["tracelet/__init__.py", "tracelet/py.typed", "tracelet/_agent/agent.cjs", "tracelet/_agent/start.cjs"]
const unwanted = /node\.path|__pycache__|\.venv/

const list = `import sys, tarfile, zipfile
for file in sys.argv[1:]:
    names = zipfile.ZipFile(file).namelist() if file.endswith(".whl") else tarfile.open(file).getnames()
    print(*names, sep="\\n")`

await runMain(async () => {
  const folder = mkdtempSync(join(tmpdir(), "tracelet-wheel-"))
  try {
    const cwd = join(root, "packages", "bridge-python", "python")
    await run(pythonPath, ["-m", "hatchling", "build", "-d", folder], { cwd, again })
    for (const name of readdirSync(folder)) {
      const file = join(folder, name)
      // oxlint-disable-next-line no-await-in-loop -- two files
      const names = (await run(pythonPath, ["-c", list, file], { again })).split("\n")
      const missing = wanted.filter((path) => !names.some((entry) => entry.endsWith(path)))
      const surplus = names.filter((entry) => unwanted.test(entry))
      if (missing.length > 0) throw new StepError(`${name} lacks ${missing.join(", ")}`, { again })
      if (surplus.length > 0) throw new StepError(`${name} should not have ${surplus.join(", ")}`, { again })
      // A wheel of Python alone can be imported from as it is.
      const use = `import sys; sys.path.insert(0, ${JSON.stringify(file)}); import tracelet; print(tracelet.__file__)`
      // oxlint-disable-next-line no-await-in-loop
      if (name.endsWith(".whl")) await run(pythonPath, ["-I", "-S", "-c", use], { again })
      console.log(`${name}: ${names.length - 1} files`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
