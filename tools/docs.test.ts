/** Links in the pages a newcomer reads lead somewhere; programs in them are compiled, and those of the front page run, with what they logged looked up in the store. */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { findPython } from "./setup/findPython.mjs"
import { root } from "./setup/packages.mjs"

interface Fence {
  readonly page: string
  readonly language: string
  readonly code: string
}

/** What a short program on a page leaves out. */
const header = `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Local from "@tracelet/backend-local"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
`

const pages = globSync(["README.md", "packages/*/README.md", "packages/*/python/README.md", "docs/**/*.md"], {
  cwd: root,
  exclude: (path) => path.includes("node_modules")
})

const fences: ReadonlyArray<Fence> = pages.flatMap((page) =>
  Array.from(readFileSync(join(root, page), "utf8").matchAll(/^```(ts|python)\n([\s\S]*?)^```$/gm), (match) => ({
    page,
    language: match[1] ?? "",
    code: match[2] ?? ""
  }))
)

// In the repository, so that imports are found, and not below node_modules, where Node strips no types.
const folder = join(root, ".cache", "docs")
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

const fileOf = ({ page }: Fence, i: number): string => join(folder, `${i}-${page.replaceAll(/[^\w]/g, "-")}.ts`)

const programs = fences.flatMap((fence, i) => {
  if (fence.language !== "ts") return []
  const file = fileOf(fence, i)
  writeFileSync(file, `${fence.code.includes("import ") ? "" : header}${fence.code}\nexport {}\n`)
  return [{ ...fence, file }]
})

/** Where links without a scheme lead, from the page they are on; those in code are none. */
const links = [...pages, "ARCHITECTURE.md", "CONTRIBUTING.md", "GLOSSARY.md", "STYLE.md"].flatMap((page) => {
  const text = readFileSync(join(root, page), "utf8")
    .replaceAll(/^```[\s\S]*?^```$/gm, "")
    .replaceAll(/`[^`\n]*`/g, "")
  return Array.from(text.matchAll(/\]\(<?([^)\s>]+)/g), ([, target = ""]) => ({ page, target })).filter(
    ({ target }) => !/^(?:[a-z]+:|#)/.test(target)
  )
})

const work = mkdtempSync(join(tmpdir(), "tracelet-docs-"))
afterAll(() => rmSync(work, { recursive: true, force: true }))

const pointsOf = (dir: string): number => {
  const cli = join(root, "packages/cli/src/main.ts")
  const args = ["--conditions=@tracelet/source", cli, "runs", "--json"]
  const runs: ReadonlyArray<{ readonly points: number }> = JSON.parse(
    execFileSync(process.execPath, args, { env: { ...process.env, TRACELET_DIR: dir }, encoding: "utf8" })
  )
  return runs.reduce((sum, { points }) => sum + points, 0)
}

describe("a link on a page", () => {
  it("is there to be tested", () => expect(links.length).toBeGreaterThan(4))

  it("leads to a file that exists", () => {
    const dead = links.filter(
      ({ page, target }) => !existsSync(join(root, dirname(page), decodeURIComponent(target.replace(/[#?].*$/, ""))))
    )
    expect(dead).toEqual([])
  })
})

describe("a program on a page", () => {
  it("is there to be tested", () => expect(programs.length).toBeGreaterThan(4))

  it("compiles", () => {
    const config = {
      extends: join(root, "tsconfig.tests.json"),
      compilerOptions: {
        composite: false,
        incremental: false,
        declaration: false,
        declarationMap: false,
        tsBuildInfoFile: null,
        rootDir: root,
        noUnusedLocals: false,
        typeRoots: [join(root, "node_modules/@types")]
      },
      files: programs.map(({ file }) => file),
      include: [],
      references: []
    }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
    const tsc = join(root, "node_modules/.bin/tsc")
    const { stdout } = spawnSync(tsc, ["-p", join(folder, "tsconfig.json"), "--pretty", "false"], { encoding: "utf8" })
    expect(stdout).toBe("")
  })

  it("on the front page runs: TypeScript", () => {
    const program = programs.find(({ page }) => page === "README.md")
    execFileSync(process.execPath, ["--conditions=@tracelet/source", program?.file ?? ""], { cwd: work })
    expect(pointsOf(join(work, ".tracelet"))).toBe(1_000)
  })

  it.each(fences.filter(({ language }) => language === "python"))("runs: Python, on $page", ({ code }) => {
    const dir = mkdtempSync(join(work, "python-"))
    const env = {
      ...process.env,
      TRACELET_DIR: dir,
      TRACELET_AGENT: "off",
      PYTHONPATH: join(root, "packages/bridge-python/python/src")
    }
    execFileSync(findPython().executable, ["-c", code], { cwd: work, env })
    expect(pointsOf(dir)).toBeGreaterThanOrEqual(100)
  })
})
