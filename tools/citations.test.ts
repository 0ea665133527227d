/** Every numbered line of the specifications is named by a test of either language, so that none binds on paper alone. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "./setup/packages.mjs"

/** Lines that no test can hold, each with the reason. */
const exceptions: ReadonlyMap<string, string> = new Map()

const read = (patterns: ReadonlyArray<string>): ReadonlyArray<string> =>
  globSync(patterns, { cwd: root, exclude: (path) => path.includes("node_modules") }).map((file) =>
    readFileSync(join(root, file), "utf8")
  )

const lines = read(["docs/spec/*.md"]).flatMap((page) =>
  Array.from(page.matchAll(/^- \*\*([A-Z]\d+(?:\.\d+)?)\*\*/gm), ([, line = ""]) => line)
)

const tests = read(["packages/*/test/**/*.ts", "packages/*/python/tests/**/*.py"])
const cited = new Set(tests.flatMap((text) => Array.from(text.matchAll(/\b[A-Z]\d+(?:\.\d+)?\b/g), ([line]) => line)))

describe("the specifications", () => {
  it("have lines with a number of their own", () => {
    expect(lines.length).toBeGreaterThan(90)
    expect(new Set(lines).size).toBe(lines.length)
  })

  it("are named line by line by tests", () => {
    expect(lines.filter((line) => !cited.has(line) && !exceptions.has(line))).toEqual([])
  })

  it("have no exception that is none (any more)", () => {
    expect([...exceptions.keys()].filter((line) => !lines.includes(line) || cited.has(line))).toEqual([])
  })
})
