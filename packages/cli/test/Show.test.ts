import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { matches } from "../src/commands/Show.ts"
import * as Output from "../src/Output.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, missing, training, writeEnded } from "./support/runs.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(Output.Show)))

const folder = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  yield* writeEnded(dir, {
    id: "aa11".padEnd(32, "0"),
    tags: { demo: "", owner: "me" },
    backends: [local, missing],
    log: training
  })
  yield* writeEnded(dir, { id: "aa22".padEnd(32, "0"), name: "other", startedAt: now - 9_000 })
  return dir
})

describe("tracelet show", () => {
  it.live("prints one page: head, backends, params, series, charts", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const { code, out, err } = yield* tracelet(dir, ["show", "baseline", "--dir", "."])
        assert.strictEqual(err, "")
        assert.strictEqual(code, 0)
        yield* golden("show", out, dir)
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(out, /\u001b/)
      })
    )
  )

  it.live("fits a narrow terminal, and one that knows ASCII only", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const narrow = yield* tracelet(dir, ["show", "baseline", "--dir", "."], { columns: 64 })
        const lines = narrow.out.split("\n").filter((line) => !line.includes(dir))
        assert.deepStrictEqual(
          lines.filter((line) => line.length > 64 && !line.includes(" · ") && !line.startsWith("  nowhere:")),
          []
        )
        yield* golden("show-64", narrow.out, dir)
        const env = { TERM: "dumb" }
        const dumb = yield* tracelet(dir, ["show", "baseline", "--series", "loss", "--dir", "."], { env })
        const asked = yield* tracelet(dir, ["show", "baseline", "--series", "loss", "--ascii", "--dir", "."])
        assert.strictEqual(dumb.out, asked.out)
        // oxlint-disable-next-line no-control-regex
        assert.match(dumb.out, /^[\u0000-\u007f]*$/)
        yield* golden("show-ascii", dumb.out, dir)
      })
    )
  )

  it.live("draws in colour on a terminal", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const { out } = yield* tracelet(dir, ["show", "baseline", "--series", "loss", "--dir", "."], {
          columns: 80,
          env: { NO_COLOR: "" }
        })
        yield* golden("show-colour", out, dir)
      })
    )
  )

  it.live("prints JSON of its Schema, which reads NaN back", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const { out } = yield* tracelet(dir, ["show", "baseline", "--json", "--dir", "."])
        yield* golden("show-json", out, dir)
        const page = yield* decode(out)
        assert.deepStrictEqual(
          page.series.map(({ name, points, nans }) => [name, points, nans]),
          [
            ["lr", 400, 0],
            ["train/loss", 4_000, 0],
            ["val/acc", 400, 19]
          ]
        )
      })
    )
  )

  it.live("finds a run by id, prefix, name and project/name, and says what was meant otherwise", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const show = (query: string) => tracelet(dir, ["show", query, "--json", "--dir", "."])
        for (const query of ["aa22".padEnd(32, "0"), "aa22", "other", "digits/other"]) {
          assert.strictEqual(JSON.parse((yield* show(query)).out).name, "other")
        }
        const unknown = yield* show("baselin3")
        assert.strictEqual(unknown.code, 1)
        yield* golden("show-unknown", unknown.err + unknown.out)
        const ambiguous = yield* show("aa")
        assert.strictEqual(ambiguous.code, 1)
        yield* golden("show-ambiguous", ambiguous.err + ambiguous.out)
        const series = yield* tracelet(dir, ["show", "baseline", "--series", "vol/*", "--dir", "."])
        assert.strictEqual(series.code, 1)
        assert.include(series.err, "There are lr, train/loss, val/acc.")
      })
    )
  )

  it.live("says in one line what was meant, whatever is in the names, and each name once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, {
          id: "cc".padEnd(32, "0"),
          project: "p\u001b]0;title\u0007",
          name: "two\nlines\u009b7m",
          log: (writer, startedAt) => {
            for (const subset of ["a", "b", "c"]) writer.point("s\u001b[7m\nx", 1, 0, { subset }, startedAt)
          }
        })
        const show = (...args: ReadonlyArray<string>) => tracelet(dir, ["show", ...args, "--dir", "."])
        const near = yield* show("two\nlines\u009b7n")
        assert.include(near.err, "Near it: p\\u001b]0;title\\u0007/two\\nlines\\u009b7m (cc000000). `tracelet runs`")
        const series = yield* show("cc", "--series", "zzz")
        assert.include(series.err, "There are s\\u001b[7m\\nx.\n")
        for (const { err } of [near, series, yield* show("\u001b[7m"), yield* show("cc", "--\u001b[7m")]) {
          // oxlint-disable-next-line no-control-regex
          assert.match(err, /^[^\u0000-\u001f\u007f-\u009f]+\n$/)
        }
        const json = yield* show("cc", "--series", "zzz", "--json")
        assert.strictEqual(json.code, 1)
        assert.strictEqual(JSON.parse(json.out).error.tag, "SeriesNotFound")
      })
    )
  )

  it.live("draws the first series, and says how many more there are", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, {
          id: "ee".padEnd(32, "0"),
          log: (writer, startedAt) => {
            for (let i = 0; i < 60; i++) writer.point(`s${i}`, i, 0, undefined, startedAt)
          }
        })
        const charts = (...args: ReadonlyArray<string>) =>
          Effect.map(tracelet(dir, ["show", "ee", "--dir", ".", ...args]), ({ out }) => [
            out.match(/└/g)?.length,
            out.includes("56 more series: --all draws them")
          ])
        assert.deepStrictEqual(yield* charts(), [4, true])
        assert.deepStrictEqual(yield* charts("--all"), [60, false])
        assert.deepStrictEqual(yield* charts("--series", "s1?", "--all"), [10, false])
      })
    )
  )
})

describe("a pattern of series", () => {
  it("is any part of the name, or with * and ? the whole of it", () => {
    assert.isTrue(matches("LOSS", "train/loss"))
    assert.isTrue(matches("val/*", "val/acc"))
    assert.isFalse(matches("val/*", "other/val/acc"))
    assert.isTrue(matches("s?", "s1"))
    assert.isFalse(matches("s.", "s1"))
    assert.isTrue(matches("a(*", "a(b"))
  })
})
