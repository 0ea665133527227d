/** Every boundary rule against a file that breaks it: a pattern that never matches is accepted by the linter in silence. */
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { beforeAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..")

/** What `file` imports, and whether the linter refuses it. */
const cases: ReadonlyArray<readonly [file: string, specifier: string, outcome: "refused" | "allowed"]> = [
  ["core/src/A.ts", "effect/Effect", "allowed"],
  ["core/src/A.ts", "./B.ts", "allowed"],
  ["core/src/A.ts", "effect", "refused"],
  ["core/src/A.ts", "effect/http/HttpClient", "refused"],
  ["core/src/A.ts", "effect/sql", "refused"],
  ["core/src/A.ts", "node:fs", "refused"],
  ["core/src/A.ts", "@tracelet/core/Point", "refused"],
  ["core/src/A.ts", "@tracelet/platform-node", "refused"],
  ["core/src/A.ts", "@effect/platform-node/NodeRuntime", "refused"],
  ["core/src/internal/A.ts", "node:fs", "refused"],
  ["core/src/ServiceCall.ts", "effect/http/HttpClient", "allowed"],
  ["core/src/internal/service/A.ts", "effect/http/Headers", "allowed"],
  ["core/src/internal/service/A.ts", "effect/sql/SqlClient", "refused"],
  ["core/src/internal/service/A.ts", "node:fs", "refused"],
  ["backend-local/src/A.ts", "effect/sql/SqlClient", "allowed"],
  ["backend-local/src/A.ts", "node:sqlite", "allowed"],
  ["backend-local/src/A.ts", "@tracelet/core/Point", "allowed"],
  ["backend-local/src/A.ts", "@tracelet/core", "refused"],
  ["backend-local/src/A.ts", "effect", "refused"],
  ["backend-local/src/A.ts", "@effect/platform-node", "refused"],
  ["backend-local/src/A.ts", "@effect/platform-node/NodeRuntime", "refused"],
  ["backend-local/src/A.ts", "@tracelet/platform-node", "refused"],
  ["backend-local/src/A.ts", "@tracelet/backend-mlflow/MlflowApi", "refused"],
  ["backend-local/src/A.ts", "@tracelet/testing/BackendContract", "refused"],
  ["backend-local/test/A.ts", "@tracelet/testing/BackendContract", "allowed"],
  ["platform-node/src/A.ts", "@tracelet/core/JournalStorage", "allowed"],
  ["platform-node/src/A.ts", "@tracelet/backend-local", "refused"],
  ["bridge-python/src/A.ts", "@tracelet/core/Journal", "allowed"],
  ["bridge-python/src/A.ts", "@tracelet/cli/main", "refused"],
  ["opentelemetry/src/A.ts", "@effect/opentelemetry/OtelTracer", "allowed"],
  ["opentelemetry/src/A.ts", "@effect/platform-node/NodeRuntime", "refused"],
  ["opentelemetry/src/A.ts", "@tracelet/core/Backend", "allowed"],
  ["opentelemetry/src/A.ts", "@tracelet/backend-mlflow/MlflowConfig", "refused"],
  ["opentelemetry/src/A.ts", "effect", "refused"],
  ["testing/src/A.ts", "@effect/vitest", "allowed"],
  ["testing/src/A.ts", "@tracelet/core/Backend", "allowed"],
  ["testing/src/A.ts", "@tracelet/backend-local", "refused"],
  ["cli/src/A.ts", "@tracelet/backend-local/LocalPlugin", "allowed"],
  ["cli/src/A.ts", "@tracelet/bridge-python", "allowed"],
  ["cli/src/A.ts", "@tracelet/plugins/Reduce", "allowed"],
  ["cli/src/A.ts", "effect/cli/Command", "allowed"],
  ["cli/src/A.ts", "effect", "refused"],
  ["cli/src/A.ts", "@tracelet/core", "refused"],
  ["cli/src/A.ts", "@tracelet/testing/BackendContract", "refused"]
]

const fileOf = (index: number) => {
  const [file] = cases[index] ?? [""]
  // Of a name a rule may depend; the others share one.
  return join("packages", dirname(file), basename(file) === "A.ts" ? `Case${index}.ts` : basename(file))
}

/** Writes files into a folder with the linter's configuration, without the rules that need types, and lints them. */
const lint = (files: Readonly<Record<string, string>>): string => {
  const folder = mkdtempSync(join(tmpdir(), "tracelet-boundaries-"))
  try {
    const config = readFileSync(join(root, ".oxlintrc.json"), "utf8")
    writeFileSync(join(folder, ".oxlintrc.json"), config.replace(`"typeAware": true`, `"typeAware": false`))
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(join(folder, dirname(file)), { recursive: true })
      writeFileSync(join(folder, file), text)
    }
    const oxlint = join(root, "node_modules", "oxlint", "bin", "oxlint")
    return spawnSync(process.execPath, [oxlint, "--format=unix"], { cwd: folder, encoding: "utf8" }).stdout
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe("boundaries", () => {
  let report: ReadonlyArray<string> = []

  // One run over all files: the linter needs longer to start than to read them.
  beforeAll(() => {
    const text = (specifier: string) => `import type * as It from "${specifier}"\nexport type Used = typeof It\n`
    report = lint(Object.fromEntries(cases.map(([, specifier], index) => [fileOf(index), text(specifier)]))).split("\n")
  })

  it.each(cases.map(([file, specifier, outcome], index) => ({ file, specifier, outcome, index })))(
    "$file: $specifier is $outcome",
    ({ index, outcome }) => {
      const lines = report.filter((line) => line.startsWith(fileOf(index)))
      expect(lines.some((line) => line.includes("no-restricted-imports"))).toBe(outcome === "refused")
    }
  )

  it("refuses a circle of imports", () => {
    const lines = lint({
      "A.ts": `import { b } from "./B.ts"\nexport const a = (): number => b()\n`,
      "B.ts": `import { a } from "./A.ts"\nexport const b = (): number => a()\n`
    })
    expect(lines).toContain("no-cycle")
  })
})
