/** Folders that released versions wrote are read by this one: see released/README.md. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { temporaryFolder, tracelet } from "./support/harness.ts"

const released = join(import.meta.dirname, "released")
const versions = readdirSync(released, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : []
)

describe("a folder that was written by", () => {
  it("some version is there", () => assert.isAtLeast(versions.length, 1))

  for (const version of versions) {
    const runs = readdirSync(join(released, version)).flatMap((name) =>
      name.endsWith(".jsonl") ? [name.slice(0, -6)] : []
    )
    it.live(`${version}: is exported as it was then, from its store and from its journals alone`, () =>
      Effect.gen(function* () {
        const dir = join(yield* temporaryFolder, "folder")
        cpSync(join(released, version, "folder"), dir, { recursive: true })
        for (const from of ["store", "journals"]) {
          if (from === "journals") rmSync(join(dir, "store.db"))
          for (const run of runs) {
            const { code, err, out } = yield* tracelet(dir, ["export", run, "--dir", dir])
            assert.strictEqual(code, 0, err)
            const expected = readFileSync(join(released, version, `${run}.jsonl`), "latin1")
            assert.isTrue(
              out === expected || Buffer.from(out).toString("latin1") === expected,
              `${run}, from its ${from}`
            )
          }
        }
      }).pipe(Effect.scoped)
    )
  }
})
