import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import type { JournalWriter } from "@tracelet/core/Journal"
import { matches } from "../src/commands/Show.ts"
import * as Output from "../src/Output.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { deliverMeanwhile, local, missing, training, write, writeEnded } from "./support/runs.ts"

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

  it.live("says what was begun, on which commit and by whom, as far as that is known", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const git = { commit: "0123456789abcdef0123456789abcdef01234567", branch: "feature/x", isDirty: true }
        const origin = { program: "src/\u001b[31mtrain.py", user: "me", host: "lab", git }
        yield* writeEnded(dir, { id: "aa11".padEnd(32, "0"), name: "known", origin })
        yield* writeEnded(dir, { id: "aa22".padEnd(32, "0"), name: "nameless", origin: { host: "lab" } })
        yield* writeEnded(dir, { id: "aa33".padEnd(32, "0"), name: "unknown" })
        const sourceOf = (name: string) =>
          Effect.map(tracelet(dir, ["show", name, "--dir", "."]), ({ out }) =>
            out.split("\n").filter((line) => line.startsWith("source "))
          )
        const known = yield* sourceOf("known")
        assert.strictEqual(known.length, 1)
        assert.match(
          known[0] ?? "",
          /^source src\/\S*train\.py · git feature\/x 0123456789ab · changed since · me@lab$/
        )
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(known[0] ?? "", /\u001b/)
        assert.deepStrictEqual(yield* sourceOf("nameless"), ["source lab"])
        assert.deepStrictEqual(yield* sourceOf("unknown"), [])
      })
    )
  )

  it.live("draws those series first that have a finite value, and so does compare", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const log = (writer: JournalWriter, startedAt: number) => {
          for (const name of ["a", "b", "c", "d", "e"]) {
            for (let step = 0; step < 9; step++) {
              writer.point(name, name === "e" ? step : name === "d" ? Infinity : NaN, step, undefined, startedAt + step)
            }
          }
        }
        const [one, two] = ["aa11".padEnd(32, "0"), "bb22".padEnd(32, "0")]
        for (const id of [one, two]) yield* writeEnded(dir, { id, log })
        for (const args of [
          ["show", one],
          ["compare", one, two]
        ]) {
          const { code, out, err } = yield* tracelet(dir, [...args, "--dir", "."])
          assert.strictEqual(code, 0, err)
          assert.match(out, /\ne · [^\n]*\n[^\n]*[┤│]/)
        }
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

  it.live("says why a run failed, by its error and its exit code", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const frames = Array.from({ length: 30 }, (_, i) => `  File "train.py", line ${i}`).join("\n")
        const error = `Traceback (most recent call last):\n${frames}\nValueError: \u001b[7mno\n`
        yield* writeEnded(dir, {
          id: "aa".padEnd(32, "0"),
          end: "failed",
          ending: { error, exitCode: 3 },
          log: training
        })
        yield* writeEnded(dir, { id: "bb".padEnd(32, "0"), end: undefined })
        yield* writeEnded(dir, { id: "cc".padEnd(32, "0"), end: "finished", ending: { exitCode: 0 } })
        const show = (...args: ReadonlyArray<string>) =>
          Effect.map(tracelet(dir, ["show", ...args, "--dir", "."]), ({ out }) => out)
        const page = yield* show("aa")
        assert.include(page, "\nError (exit code 3)\n  … 12 lines before: --all prints them.\n    File")
        assert.include(page, "line 29\n  ValueError: \\u001b[7mno\n\nBackends\n")
        assert.include(yield* show("aa", "--all"), "(exit code 3)\n  Traceback (most recent call last):\n    File")
        const json = yield* decode(yield* show("aa", "--json"))
        assert.deepStrictEqual([json.error, json.exitCode], [error, 3])
        for (const query of ["bb", "cc"]) {
          assert.notInclude(yield* show(query), "Error")
          assert.notProperty(yield* decode(yield* show(query, "--json")), "exitCode")
        }
      })
    )
  )

  it.live("cuts long names and values, in a pipe too, and has them whole in JSON", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const long = "n".repeat(1_000)
        yield* writeEnded(dir, {
          id: "aa".padEnd(32, "0"),
          name: long,
          project: long,
          tags: { long },
          log: (writer, time) => {
            writer.event({ _tag: "Params", time, params: { big: "v".repeat(1_000_000), [long]: 1 } })
            writer.point(long, 1, 0, { long }, time)
          }
        })
        for (const command of [["show", "aa"], ["runs"]]) {
          const { code, out } = yield* tracelet(dir, [...command, "--dir", "."])
          assert.strictEqual(code, 0)
          for (const line of out.split("\n")) assert.isBelow(line.length, 500, line.slice(0, 100))
          assert.include(out, "nnn…")
        }
        const json = yield* decode((yield* tracelet(dir, ["show", "aa", "--json", "--dir", "."])).out)
        assert.strictEqual(json.params["big"], "v".repeat(1_000_000))
        assert.strictEqual(json.series[0]?.name, long)
      })
    )
  )

  it.live("shows one state of a run that goes on", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const run = "aa".padEnd(32, "0")
        let writer: JournalWriter | undefined
        yield* write(dir, { id: run, end: undefined, log: (opened) => (writer = opened) })
        yield* deliverMeanwhile(dir, run)
        let step = 0
        const timer = setInterval(() => {
          for (let i = 0; i < 20; i++) writer?.point(`s${i}`, step, step++, undefined, now)
          if (writer !== undefined) Effect.runFork(writer.commit)
        }, 1)
        yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(timer)))
        for (let i = 0; i < 5; i++) {
          yield* Effect.sleep("30 millis")
          const { out } = yield* tracelet(dir, ["show", run, "--json", "--dir", "."])
          const { points, series, status, backends } = yield* decode(out)
          assert.strictEqual(status, "running")
          assert.strictEqual(
            series.reduce((sum, one) => sum + one.points, 0),
            points
          )
          assert.strictEqual(backends["local"]?.delivered, points)
        }
        assert.isAbove(step, 100)
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
            for (let i = 0; i < 60; i++) {
              for (const step of [0, 1]) writer.point(`s${i}`, i, step, undefined, startedAt)
            }
            writer.point("test_acc", 0.975, 1_200, undefined, startedAt)
          }
        })
        const charts = (...args: ReadonlyArray<string>) =>
          Effect.map(tracelet(dir, ["show", "ee", "--dir", ".", ...args]), ({ out }) => [
            out.match(/└/g)?.length,
            out.includes("57 more series: --all draws them")
          ])
        assert.deepStrictEqual(yield* charts(), [4, true])
        assert.deepStrictEqual(yield* charts("--all"), [60, false])
        assert.deepStrictEqual(yield* charts("--series", "s1?", "--all"), [10, false])
        const { out } = yield* tracelet(dir, ["show", "ee", "--dir", ".", "--series", "test_acc"])
        assert.isTrue(out.endsWith("\n\ntest_acc · 0.975 at step 1,200 · 1 point\n"), out)
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
