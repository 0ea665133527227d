import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { readFileSync } from "node:fs"
import { version } from "../src/Version.ts"
import { golden, temporaryFolder, tracelet } from "./support/harness.ts"

const commands = [
  "runs",
  "show",
  "compare",
  "status",
  "sync",
  "export",
  "tag",
  "rename",
  "rm",
  "dead-letter",
  "dead-letter list",
  "dead-letter retry",
  "dead-letter drop",
  "archive",
  "artifacts",
  "prune",
  "agent",
  "agent status",
  "agent start",
  "agent stop",
  "backends",
  "doctor"
]

describe("help", () => {
  it.live.each(["", ...commands])("of `tracelet %s` shows an example", (command) =>
    Effect.gen(function* () {
      const args = command === "" ? [] : command.split(" ")
      const { code, out, err } = yield* tracelet("/", [...args, "--help"])
      assert.strictEqual(code, 0)
      assert.strictEqual(err, "")
      assert.match(out, new RegExp(`EXAMPLES\\n(.|\\n)*tracelet ${command}`))
      yield* golden(`help${command === "" ? "" : `-${command.replace(" ", "-")}`}`, out)
    })
  )

  it.live("comes without a command, and is no failure", () =>
    Effect.gen(function* () {
      const { code, out } = yield* tracelet("/", [])
      assert.strictEqual(code, 0)
      assert.strictEqual(out, (yield* tracelet("/", ["--help"])).out)
    })
  )

  it.live("has colour on a terminal only", () =>
    Effect.gen(function* () {
      const env = { NO_COLOR: "" }
      assert.include((yield* tracelet("/", ["--help"], { columns: 80, env })).out, "\u001b[1m")
      assert.notInclude((yield* tracelet("/", ["--help"], { env })).out, "\u001b[")
      assert.notInclude((yield* tracelet("/", ["--help"], { columns: 80 })).out, "\u001b[")
    })
  )
})

describe("version", () => {
  it.live("is that of the package", () =>
    Effect.gen(function* () {
      const { version: published }: { version: string } = JSON.parse(
        readFileSync(new URL("../package.json", import.meta.url), "utf8")
      )
      assert.strictEqual(version, published)
      assert.deepStrictEqual(yield* tracelet("/", ["--version"]), { code: 0, out: `tracelet ${published}\n`, err: "" })
    })
  )
})

describe("wrong usage", () => {
  it.live("says of a number that is none what it should be", () =>
    Effect.gen(function* () {
      const { err } = yield* tracelet("/", ["runs", "--limit", "0"])
      assert.include(err, "Expected a number of runs from 1 on, got 0")
      assert.notInclude(err, "Expected:")
    })
  )

  const wrong: ReadonlyArray<readonly [string, string]> = [
    ["shw", "UnknownSubcommand"],
    ["runs --projct x", "UnrecognizedOption"],
    ["runs --limit many", "InvalidValue"],
    ["runs --limit 0", "InvalidValue"],
    ["runs --limit -1", "InvalidValue"],
    ["runs --status dead", "InvalidValue"],
    ["show", "MissingArgument"],
    ["show a b", "UnexpectedArgument"],
    ["export a --format xml", "InvalidValue"],
    ["sync --timeout soon", "InvalidValue"]
  ]

  it.live.each(wrong)("`tracelet %s` exits 2 with one line", ([line, tag]) =>
    Effect.gen(function* () {
      const args = line.split(" ")
      const plain = yield* tracelet("/", args)
      assert.strictEqual(plain.code, 2)
      assert.strictEqual(plain.out, "")
      assert.match(plain.err, /^tracelet: [^\n]* `tracelet[^\n]* --help` shows how it is used\.\n$/)
      const json = yield* tracelet("/", [...args, "--json"])
      assert.strictEqual(json.code, 2)
      assert.strictEqual(JSON.parse(json.out).error.tag, tag)
    })
  )

  it.live("says what was meant", () =>
    Effect.gen(function* () {
      assert.include((yield* tracelet("/", ["shw"])).err, "Did you mean this? show")
      assert.include((yield* tracelet("/", ["runs", "--projct", "x"])).err, "--project")
    })
  )
})

describe("a folder that is not there", () => {
  it.live("has no runs, which is no failure", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const { code, out } = yield* tracelet(dir, ["runs", "--dir", "none"])
        assert.strictEqual(code, 0)
        yield* golden("runs-none", out, dir)
        assert.deepStrictEqual(JSON.parse((yield* tracelet(dir, ["runs", "--json"])).out), [])
        const status = JSON.parse((yield* tracelet(dir, ["status", "--json"])).out)
        assert.deepStrictEqual(status, { dir: `${dir}/.tracelet`, runs: 0, running: 0, agent: null, backends: {} })
      })
    )
  )

  it.live("is found by --dir, then TRACELET_DIR, then the working directory", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const env = { TRACELET_DIR: "there" }
        const at = (args: ReadonlyArray<string>, options = {}) =>
          Effect.map(tracelet(dir, ["status", "--json", ...args], options), ({ out }) => JSON.parse(out).dir)
        assert.strictEqual(yield* at([]), `${dir}/.tracelet`)
        assert.strictEqual(yield* at([], { env }), `${dir}/there`)
        assert.strictEqual(yield* at(["--dir", "here"], { env }), `${dir}/here`)
      })
    )
  )
})
