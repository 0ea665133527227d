import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Local from "@tracelet/backend-local/LocalPlugin"
import * as Artifact from "@tracelet/core/Artifact"
import * as Journal from "@tracelet/core/Journal"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Output from "../src/Output.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Artifacts))

/** A run that kept something of each sort, recorded as an app does it and delivered to the local store. */
const recorded = Effect.gen(function* () {
  const dir = yield* temporaryFolder
  const made = join(dir, "made")
  mkdirSync(join(made, "deep"), { recursive: true })
  writeFileSync(join(made, "a.txt"), "one")
  writeFileSync(join(made, "deep", "b.txt"), "two")
  yield* Effect.gen(function* () {
    yield* Tracker.logArtifact(join(made, "a.txt"), { type: "report" })
    yield* Tracker.logArtifact(
      Artifact.make("best", "model").pipe(Artifact.file(made), Artifact.reference("s3://base"))
    )
    yield* Tracker.logInput("wine", { source: "https://example.org/wine.csv", context: "training" })
    for (const step of [1, 7])
      yield* Tracker.logImage("sample", { data: new Uint8Array(4), width: 2, height: 2 }, { step })
    yield* Tracker.logTable("../out", [{ a: 1 }])
  }).pipe(
    Tracker.withRun({ project: "digits", name: "baseline" }),
    Effect.provide(
      Tracelet.layer({ backends: { local: Local.plugin() } }).pipe(
        Layer.provide(Journal.layerFile({ dir: join(dir, ".tracelet") })),
        Layer.provide(NodePlatform.layer)
      )
    )
  )
  rmSync(made, { recursive: true })
  return dir
})

const say = (dir: string, ...args: ReadonlyArray<string>) => tracelet(dir, [...args, "--dir", ".tracelet"])

describe("tracelet artifacts", () => {
  it.live("lists artifacts, inputs and media, and copies their files byte for byte", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* recorded
        const listed = yield* decode((yield* say(dir, "artifacts", "baseline", "--json")).out)
        assert.deepStrictEqual(
          listed.artifacts.map(({ name, type, files, bytes, input }) => [name, type, files, bytes, input]),
          [
            ["a.txt", "report", 1, 3, undefined],
            ["best", "model", 2, 6, undefined],
            ["wine", "dataset", 0, 0, "training"]
          ]
        )
        assert.deepStrictEqual(
          listed.media.map(({ kind, name, count, lastStep }) => [kind, name, count, lastStep]),
          [
            ["image", "sample", 2, 7],
            ["table", "../out", 1, 0]
          ]
        )
        const page = (yield* say(dir, "artifacts", "baseline")).out
        for (const part of ["a.txt", "best", "s3://base", "training", "sample", "image"]) assert.include(page, part)

        assert.strictEqual((yield* say(dir, "artifacts", "baseline", "--to", "out")).code, 0)
        const files = readdirSync(join(dir, "out"), { recursive: true, withFileTypes: true }).filter((each) =>
          each.isFile()
        )
        assert.strictEqual(files.length, 6)
        assert.strictEqual(readFileSync(join(dir, "out", "a.txt"), "utf8"), "one")
        assert.strictEqual(readFileSync(join(dir, "out", "best", "deep", "b.txt"), "utf8"), "two")
        assert.strictEqual(
          readFileSync(join(dir, "out", "image", "sample-7-1.png"))
            .subarray(1, 4)
            .toString(),
          "PNG"
        )
        // A name that leads elsewhere does not lead there.
        assert.notInclude(readdirSync(dir), "out-0-2.json")
      })
    )
  )

  it.live("overwrites nothing, writes nothing that is damaged, and says what there is not", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* recorded
        const copy = () => say(dir, "artifacts", "baseline", "a.txt", "--to", "out", "--json")
        assert.deepStrictEqual((yield* decode((yield* copy()).out)).copied, ["a.txt"])
        const again = yield* copy()
        assert.deepStrictEqual([again.code, JSON.parse(again.out).error.tag], [1, "OutputError"])
        rmSync(join(dir, "out"), { recursive: true })
        const [run = ""] = readdirSync(join(dir, ".tracelet", "runs"))
        const blobs = join(dir, ".tracelet", "runs", run, "blobs")
        for (const name of readdirSync(blobs)) writeFileSync(join(blobs, name), "bad")
        const damaged = yield* copy()
        assert.deepStrictEqual([damaged.code, readdirSync(join(dir, "out"))], [1, []])
        assert.include(damaged.err, "damaged")
        const unknown = yield* say(dir, "artifacts", "baseline", "worst", "--json")
        assert.deepStrictEqual([unknown.code, JSON.parse(unknown.out).error.tag], [1, "ArtifactNotFound"])
      })
    )
  )
})

describe("A run that is nested in another", () => {
  it.live("says so on its page, which of a run that was resumed is that of one run", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        const tracking = Tracelet.layer({ backends: { local: Local.plugin() } }).pipe(
          Layer.provide(Journal.layerFile({ dir: join(dir, ".tracelet") })),
          Layer.provide(NodePlatform.layer)
        )
        const step = (at: number) => Tracker.log({ loss: at }, { step: at })
        const outer = yield* Effect.gen(function* () {
          const run = yield* Tracker.startRun({ name: "sweep" })
          yield* Effect.fail("crash").pipe(
            Effect.ensuring(step(0)),
            Tracker.withRun({ name: "trial", parent: run }),
            Effect.ignore
          )
          return run.id
        }).pipe(Effect.scoped, Effect.provide(tracking))
        const [trial] = readdirSync(join(dir, ".tracelet", "runs")).filter((id) => id !== outer)
        yield* step(1).pipe(Tracker.withRun({ resume: trial ?? "" }), Effect.provide(tracking))
        const shown = JSON.parse((yield* say(dir, "show", "trial", "--json")).out)
        assert.deepStrictEqual([shown.name, shown.status, shown.points, shown.parent], ["trial", "finished", 2, outer])
        assert.include((yield* say(dir, "show", "trial")).out, `parent ${outer}`)
      })
    )
  )
})

describe("What a run kept beside its points", () => {
  it.live(
    "is on its page, in its export, and the same in a store that is built again from archived journals (J6.3, J11.3)",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const dir = yield* recorded
          const outputs = () =>
            Effect.forEach(
              [
                ["show", "baseline"],
                ["show", "baseline", "--json"],
                ["export", "baseline"]
              ],
              (line) => Effect.map(say(dir, ...line), ({ out }) => out)
            )
          const [page = "", json = "", lines = ""] = yield* outputs()
          for (const part of ["Artifacts", "best", "Media", "sample"]) assert.include(page, part)
          assert.strictEqual(JSON.parse(json).artifacts.length, 3)
          const kinds = lines.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line).kind]))
          assert.deepStrictEqual(kinds, ["run", "artifact", "artifact", "artifact", "image", "image", "table"])
          const [run = ""] = readdirSync(join(dir, ".tracelet", "runs"))
          const blobs = join(dir, ".tracelet", "runs", run, "blobs")
          const whole = readdirSync(blobs)
          writeFileSync(join(blobs, "0123.tmp"), "what a killed writer left")
          assert.strictEqual((yield* say(dir, "archive", "baseline")).code, 0)
          assert.deepStrictEqual(readdirSync(blobs), whole)
          rmSync(join(dir, ".tracelet", "store.db"))
          const after = yield* outputs()
          assert.deepStrictEqual([after[0], after[2]], [page, lines])
          assert.strictEqual((yield* say(dir, "artifacts", "baseline", "--to", "out")).code, 0)
        })
      )
  )
})
