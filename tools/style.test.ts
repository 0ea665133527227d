/** The tree in STYLE.md is that of this repository: what it draws is there, and what is to come says so. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "./setup/packages.mjs"

interface Drawn {
  readonly path: string
  readonly isToCome: boolean
}

/** A line of the tree draws one or several names at a depth; what follows two spaces is said of them. */
const drawn = (page: string): ReadonlyArray<Drawn> => {
  const [, tree = ""] = /## 1\. The tree\n\n```\n([\s\S]*?)```/.exec(page) ?? []
  const above: Array<string> = []
  return tree.split("\n").flatMap((line) => {
    const [, indent, names, about] = /^((?:│ {3}| {4})*)[├└]── (\S+(?: \S+)*)(.*)$/.exec(line) ?? []
    if (indent === undefined || names === undefined || about === undefined) return []
    const depth = indent.length / 4
    above.length = depth
    above[depth] = names
    const folder = join(root, ...above.slice(0, depth))
    return names.split(" ").map((name) => ({ path: join(folder, name), isToCome: about.trim().startsWith("to come") }))
  })
}

describe("the tree in STYLE.md", () => {
  const all = drawn(readFileSync(join(root, "STYLE.md"), "utf8"))

  it("draws what is there", () => {
    expect(all.length).toBeGreaterThan(40)
    expect(all.filter(({ path, isToCome }) => !isToCome && !existsSync(path))).toEqual([])
  })

  it("says of nothing that is there that it is to come", () => {
    expect(all.filter(({ path, isToCome }) => isToCome && existsSync(path))).toEqual([])
  })
})
