import { existsSync, readdirSync } from "node:fs"
import { resolve } from "node:path"
import { defineConfig } from "vitest/config"

// Sources, not `dist`, in all three resolvers of vitest: without the `ssr` pair tests silently run on an old build.
const conditions = ["@tracelet/source"]

/** What the tests of a project share, such as a server. */
const setup = "test/support/globalSetup.ts"

const project = (name: string, root: string, include: ReadonlyArray<string>) => ({
  extends: true as const,
  test: {
    name,
    root,
    include: [...include],
    globalSetup: [resolve(root, setup)].filter(existsSync),
    benchmark: { include: [] }
  }
})

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    passWithNoTests: true,
    // Machines are shared, and coverage slows what it watches: a limit is there to end what hangs, not to time what works.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: { include: ["packages/*/src/**"], reporter: ["text-summary", "html"] },
    projects: [
      ...readdirSync("packages")
        .filter((name) => existsSync(`packages/${name}/package.json`))
        .map((name) => project(name, `packages/${name}`, ["test/**/*.test.ts"])),
      project("tools", "tools", ["**/*.test.ts"])
    ]
  }
})
