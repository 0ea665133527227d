import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Output from "../src/Output.ts"
import { version } from "../src/Version.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { training, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Doctor))

const names = ["tracelet", "Node", "SQLite", "folder", "file system", "disk", "locks", "store", "agent", "Python"]

describe("tracelet doctor", () => {
  it.live("looks at each thing once, and leaves nothing behind", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id: "aa".padEnd(32, "0"), log: training })
        yield* tracelet(dir, ["runs", "--dir", "."])
        const before = readdirSync(dir)
        const { code, out } = yield* tracelet(dir, ["doctor", "--json", "--dir", "."])
        const { checks } = yield* decode(out)
        assert.deepStrictEqual(
          checks.map(({ name }) => name),
          names
        )
        const stateByName = new Map(checks.map(({ name, state }) => [name, state]))
        for (const name of ["tracelet", "Node", "SQLite", "folder", "locks", "store", "agent"]) {
          assert.strictEqual(stateByName.get(name), "good", name)
        }
        assert.strictEqual(code, 0)
        assert.strictEqual(checks[0]?.found, version)
        assert.deepStrictEqual(readdirSync(dir), before)
      })
    )
  )

  it.live("prints a line for each, with its mark", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const { out } = yield* tracelet(dir, ["doctor", "--dir", "new"])
        const heads = out.split("\n").filter((line) => /^[✓!✗]/.test(line))
        assert.strictEqual(heads.length, names.length)
        assert.include(out, `${dir}/new, by --dir; it is made with the first run`)
        assert.strictEqual(out.split(`${dir}/new does not exist yet, looked at ${dir} instead: `).length, 4)
        assert.include(out, `another process sees a lock in ${dir}\n`)
        assert.deepStrictEqual(readdirSync(dir), [])
        // oxlint-disable-next-line no-control-regex
        assert.match((yield* tracelet(dir, ["doctor"], { env: { NO_UNICODE: "1" } })).out, /^[\u0000-\u007f]*$/)
      })
    )
  )

  it.live("exits 1 when something is bad, and says what to do", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        writeFileSync(join(dir, "store.db"), "not a database, whatever it was")
        const { code, out } = yield* tracelet(dir, ["doctor", "--json", "--dir", "."])
        const { checks } = yield* decode(out)
        assert.strictEqual(code, 1)
        const store = checks.find(({ name }) => name === "store")
        assert.strictEqual(store?.state, "bad")
        assert.include(store?.advice, "move it away")
      })
    )
  )

  it.live("is not content with a folder that cannot be made", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        symlinkSync(join(dir, "gone"), join(dir, "link"))
        writeFileSync(join(dir, "file"), "")
        for (const way of ["link", "file"]) {
          const { code, out } = yield* tracelet(dir, ["doctor", "--json", "--dir", join(dir, way, ".tracelet")])
          const folder = (yield* decode(out)).checks.find(({ name }) => name === "folder")
          assert.deepStrictEqual([code, folder?.state], [1, "bad"], way)
        }
      })
    )
  )

  it.live("finds a Python of a virtual environment first, and whether it has the module", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const bin = join(dir, "venv", "bin")
        mkdirSync(bin, { recursive: true })
        const fake = (origin: string) => {
          writeFileSync(join(bin, "python"), `#!/bin/sh\necho "3.12.1 ($0)"\necho "${origin}"\n`)
          chmodSync(join(bin, "python"), 0o755)
        }
        const found = Effect.gen(function* () {
          const env = { VIRTUAL_ENV: join(dir, "venv") }
          const { out } = yield* tracelet(dir, ["doctor", "--json", "--dir", "."], { env })
          return (yield* decode(out)).checks.find(({ name }) => name === "Python")
        })
        fake("/site/tracelet/__init__.py")
        assert.deepInclude(yield* found, { state: "good" })
        fake("")
        const without = yield* found
        assert.strictEqual(without?.state, "warning")
        assert.include(without?.advice, "/packages/bridge-python/python/src, or use ")
        // Nothing that anybody could publish under a name of ours.
        assert.notInclude(without?.advice, "pip install")
      })
    )
  )
})
