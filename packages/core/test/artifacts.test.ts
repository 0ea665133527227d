import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Artifact from "../src/Artifact.ts"
import * as Tracker from "../src/Tracker.ts"
import { encodeText } from "../src/internal/bytes.ts"
import { capture, only } from "./support/captured.ts"

const one = encodeText("one")
const two = encodeText("two")
const files = { "user/out/a.txt": one, "user/out/deep/b.txt": two, "user/out/deep/c.txt": one }

/** What the types let nobody write. */
const untyped = (value: unknown) => JSON.parse("[null]", () => value)

describe("An artifact", () => {
  it.live("of a file is named after it, and of a folder has all below, each content once (J6.3)", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logArtifact("user/out/a.txt", { type: "report" })
          yield* Tracker.logArtifact("user/out/a.txt", {
            name: "texts/first.txt",
            description: "d",
            metadata: { n: 1 }
          })
          yield* Tracker.logArtifact("user/out")
        }),
        files
      )
      const [file, named, folder] = only(captured, "Artifact")
      assert.deepStrictEqual(
        [file?.name, file?.type, file?.files.map(({ path }) => path)],
        ["a.txt", "report", ["a.txt"]]
      )
      assert.deepStrictEqual([named?.name, named?.files[0]?.path], ["texts/first.txt", "first.txt"])
      assert.deepStrictEqual([named?.description, named?.metadata], ["d", { n: 1 }])
      assert.deepStrictEqual(
        folder?.files.map(({ path, bytes }) => [path, bytes]),
        [
          ["a.txt", 3],
          ["deep/b.txt", 3],
          ["deep/c.txt", 3]
        ]
      )
      assert.strictEqual(captured.blobs.length, 2)
      assert.deepStrictEqual(yield* captured.blob(folder?.files[1]?.digest ?? ""), two)
      assert.deepStrictEqual(captured.said, [])
    })
  )

  it.live("is put together of files, folders, bytes, JSON and references (J5.15)", () =>
    Effect.gen(function* () {
      const best = Artifact.make("best", "model", { metadata: { epoch: 3 } }).pipe(
        Artifact.file("user/out/a.txt"),
        Artifact.file("user/out/deep", "more"),
        Artifact.bytes("weights/w.bin", two),
        Artifact.json("config.json", { layers: 12, big: 2n ** 60n }),
        Artifact.reference("s3://weights/base")
      )
      const captured = yield* capture(Tracker.logArtifact(best), files)
      const [artifact] = only(captured, "Artifact")
      assert.deepStrictEqual(
        artifact?.files.map(({ path }) => path),
        ["a.txt", "config.json", "more/b.txt", "more/c.txt", "weights/w.bin"]
      )
      assert.deepStrictEqual([artifact?.type, artifact?.references], ["model", ["s3://weights/base"]])
      const config = yield* captured.blob(artifact?.files[1]?.digest ?? "")
      assert.strictEqual(Buffer.from(config).toString(), '{"layers":12,"big":"1152921504606846976"}')
    })
  )

  it.live("keeps what can be kept; the rest is counted and said once, and none of it raises (J5.25)", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logArtifact(
            Artifact.make("some").pipe(
              Artifact.file("user/out/a.txt"),
              Artifact.file("user/out/deep/b.txt", "a.txt"),
              Artifact.file("user/nowhere"),
              Artifact.bytes("../out", one),
              Artifact.json("loop", () => 1)
            )
          )
          yield* Tracker.logArtifact("user/nowhere")
          yield* Tracker.logArtifact("user/out/a.txt", { type: untyped("modle") })
          yield* Tracker.logArtifact(untyped(null))
          yield* Tracker.logArtifact(untyped(7))
          yield* Tracker.logArtifact("user/out", { fileBytesMax: 2 })
        }),
        files
      )
      assert.deepStrictEqual(
        only(captured, "Artifact").map(({ name, files: kept }) => [name, kept.map(({ path }) => path)]),
        [["some", ["a.txt"]]]
      )
      const all = captured.said.join("\n")
      for (const part of [
        "2 values of run n not kept: artifact: could not read a file (ENOENT)",
        "two files have one path",
        'a path must be relative, without empty parts, "." and ".."',
        "a value has no JSON form",
        "the type is none of model, checkpoint",
        "3 values of run n not kept: artifact: could not copy a file (EFBIG)"
      ]) {
        assert.include(all, part)
      }
    })
  )

  it.live("may be what the run used: a dataset with its source, digest and purpose (J5.16)", () =>
    Effect.gen(function* () {
      const captured = yield* capture(
        Effect.gen(function* () {
          yield* Tracker.logInput("wine", {
            source: "https://example.org/wine.csv",
            sourceType: "http",
            digest: "v3",
            context: "training",
            schema: [{ name: "hue", type: "double" }],
            metadata: { rows: 178 }
          })
          yield* Tracker.logInput(Artifact.make("split", "dataset").pipe(Artifact.file("user/out/a.txt")), {
            context: "evaluation"
          })
          yield* Tracker.logInput("bare")
        }),
        files
      )
      const [wine, split, bare] = only(captured, "Artifact")
      assert.deepStrictEqual(wine?.input, {
        context: "training",
        digest: "v3",
        sourceType: "http",
        schema: [{ name: "hue", type: "double" }]
      })
      assert.deepStrictEqual(
        [wine?.type, wine?.references, wine?.metadata],
        ["dataset", ["https://example.org/wine.csv"], { rows: 178 }]
      )
      assert.deepStrictEqual([split?.files[0]?.path, split?.input], ["a.txt", { context: "evaluation" }])
      assert.deepStrictEqual([bare?.input, bare?.files], [{}, []])
    })
  )
})
