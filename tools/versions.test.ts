import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "./setup/packages.mjs"

const versionIn = (file: string) =>
  /^\s*"?version"?\s*[:=]\s*"([^"]+)"/m.exec(readFileSync(join(root, file), "utf8"))?.[1]

describe("versions", () => {
  it("are the same for all packages of both languages, since an agent talks to a module of its own version", () => {
    const files = [
      ...globSync("packages/*/package.json", { cwd: root }),
      "packages/bridge-python/python/pyproject.toml"
    ]
    expect(new Set(files.map(versionIn)).size, files.map((file) => `${file} ${versionIn(file)}`).join("\n")).toBe(1)
  })
})
