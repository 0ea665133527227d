import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { lockFile, missingEntries, parseLock, repaired, withEngines } from "./lock.ts"

const text = readFileSync(lockFile, "utf8")

describe("package-lock.json", () => {
  it("has an entry for every platform package that an exact optional dependency names", () => {
    expect(missingEntries(parseLock(text)), "run `npx node tools/lock.ts`").toEqual([])
  })

  it("lets an old Node install the tools that the pinned Node runs", () => {
    expect(withEngines(parseLock(text)), "run `npx node tools/lock.ts`").toEqual([])
  })

  it("names no registry", () => {
    expect(text).not.toMatch(/"resolved": "(https?|file):/)
  })

  it("is repaired with entries that say their platform", () => {
    const tool = { version: "1.0.0", dev: true, optionalDependencies: { "@scope/tool-darwin-arm64": "1.0.0" } }
    const lock = { packages: { "node_modules/@scope/tool": tool } }
    expect(missingEntries(lock)).toEqual([{ name: "@scope/tool-darwin-arm64", version: "1.0.0", dev: true }])
    expect(repaired(lock).packages["node_modules/@scope/tool-darwin-arm64"]).toEqual({
      version: "1.0.0",
      cpu: ["arm64"],
      dev: true,
      optional: true,
      os: ["darwin"]
    })
    expect(missingEntries(repaired(lock))).toEqual([])
  })

  it("is repaired without the engines of optional packages, and with those of others", () => {
    const entry = { version: "1.0.0", engines: { node: ">=22" } }
    const lock = { packages: { "node_modules/a": { ...entry, optional: true }, "node_modules/b": entry } }
    expect(repaired(lock).packages).toEqual({
      "node_modules/a": { version: "1.0.0", optional: true },
      "node_modules/b": entry
    })
  })
})
