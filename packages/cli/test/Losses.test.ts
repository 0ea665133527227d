import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Losses from "../src/Losses.ts"
import * as Output from "../src/Output.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, writeEnded } from "./support/runs.ts"

const decode = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) =>
  Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(schema)))

const id = "aa11".padEnd(32, "0")

/** A run of two backends with zeros in the middle of its journal. */
const folder = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  yield* writeEnded(dir, { id, backends: [local, missing], log: training })
  yield* writeEnded(dir, { id: "bb".padEnd(32, "0"), name: "whole" })
  const journal = join(dir, "runs", id, "journal")
  const segment = readdirSync(journal).find((name) => !name.endsWith(".lock")) ?? ""
  const bytes = readFileSync(join(journal, segment))
  writeFileSync(join(journal, segment), bytes.fill(0, 40_000, 44_096))
  return dir
})

describe("what could not be read of a journal", () => {
  it.live("is said by show, status, sync and runs, and is in their JSON", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const sync = yield* tracelet(dir, ["sync", "--dir", "."])
        const said = (text: string) =>
          /^ *(?:local: )?([\d,]+) bytes of the journal could not be read[^.]*\.$/m.exec(text)
        const show = yield* tracelet(dir, ["show", id, "--dir", "."])
        const status = yield* tracelet(dir, ["status", "--dir", "."])
        for (const { out } of [sync, show, status]) {
          assert.isNotNull(said(out), out)
          assert.include(out, ": what was logged there was not delivered.")
        }
        const page = yield* decode(Output.Show)((yield* tracelet(dir, ["show", id, "--json", "--dir", "."])).out)
        const losses = page.backends["local"]?.losses
        assert.isAtLeast(losses?.gapBytes ?? 0, 4_096)
        assert.notProperty(page.backends["nowhere"], "losses")
        const sums = yield* decode(Output.FolderStatus)((yield* tracelet(dir, ["status", "--json", "--dir", "."])).out)
        assert.deepStrictEqual(sums.backends["local"]?.losses, losses)
        const runs = yield* tracelet(dir, ["runs", "--dir", "."])
        assert.strictEqual(
          runs.err,
          "tracelet: Part of the journal could not be read of 1 run: baseline (aa110000). `tracelet show RUN` says how much.\n"
        )
        assert.notInclude((yield* tracelet(dir, ["show", "whole", "--dir", "."])).out, "could not be read")
      })
    )
  )

  it("is a call that was cut short where it is no more than a point", () => {
    const torn = { gapBytes: 40, unknown: 0, damaged: 0 }
    assert.isTrue(Losses.isTorn(torn))
    assert.include(Losses.sentence(torn), "40 bytes of the journal could not be read: what a kill leaves of a call")
    for (const more of [{ gapBytes: 80 }, { unknown: 1 }, { damaged: 1 }]) {
      const losses = { ...torn, ...more }
      assert.isFalse(Losses.isTorn(losses))
      assert.include(Losses.sentence(losses), "what was logged there was not delivered")
    }
  })
})
