import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { expect, it } from "vitest"
import { root } from "./setup/packages.mjs"

it("the page of core's inner folder has a line for each file there, and for no other", () => {
  const folder = join(root, "packages/core/src/internal")
  const lines = readFileSync(join(folder, "README.md"), "utf8").matchAll(/^- `(\w+\.ts)`: \S/gm)
  const files = readdirSync(folder, { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => basename(name))
  const named = Array.from(lines, ([, name = ""]) => name)
  expect(new Set(named)).toStrictEqual(new Set(files))
  expect(named.length).toBe(files.length)
})
