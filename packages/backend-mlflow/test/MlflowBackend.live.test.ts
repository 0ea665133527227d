import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Backend, openAlone, type OpenRun } from "@tracelet/core/Backend"
import { RunId } from "@tracelet/core/Run"
import { runStarted, type RunEvent, type Start } from "@tracelet/core/RunEvent"
import * as MlflowBackend from "@tracelet/backend-mlflow/MlflowBackend"
import * as MlflowClient from "@tracelet/backend-mlflow/MlflowClient"
import { MlflowConfig } from "@tracelet/backend-mlflow/MlflowConfig"
import { batch, params, points, renamed, series, tags } from "./support/batches.ts"
import { readRun } from "./support/readRun.ts"
import { isInstalled } from "./support/server.ts"
import { shared } from "./support/shared.ts"

type Input = (typeof MlflowConfig)["Encoded"]

let count = 0
/** A run nobody else has. */
const openNew = (start: Partial<Start> = {}, blob?: OpenRun["blob"]): OpenRun => {
  const id = RunId.make(`live-${process.pid}-${Date.now()}-${count++}`)
  return openAlone(runStarted(id, { time: 1_700_000_000.25, project: "digits", name: "baseline", ...start }), blob)
}

const decode = (config: Input) => Effect.orDie(Schema.decodeEffect(MlflowConfig)(config))

const backendOf = (config: Input) =>
  Layer.unwrap(Effect.map(decode(config), (decoded) => MlflowBackend.layer(decoded))).pipe(
    Layer.provide(FetchHttpClient.layer)
  )

/** Opens a run, writes events into it as one batch, and closes it; what MLflow's client then says of it. */
const deliver = (
  open: OpenRun,
  events: ReadonlyArray<RunEvent>,
  { status = "finished", ...config }: Partial<Input> & { readonly status?: "finished" | "failed" | "killed" } = {}
) =>
  Effect.gen(function* () {
    const server = yield* Effect.promise(shared)
    return yield* Effect.gen(function* () {
      const backend = yield* Backend
      const run = yield* backend.open(open)
      const report = yield* run.write(batch("w", events))
      yield* run.close({ status, endedAt: 1_700_000_100.5 })
      const id = run.remote ?? ""
      return { id, report, read: yield* Effect.promise(() => readRun(server, id)) }
    }).pipe(Effect.scoped, Effect.provide(backendOf({ trackingUri: server.uri, ...config })))
  })

const loss = series("loss")
const at = (step: number, value: number, time = 1_700_000_000 + step / 1000, of = loss) => ({
  series: of,
  step,
  value,
  time
})

describe.skipIf(!isInstalled)("MlflowBackend, on a real server", () => {
  it.live("makes a run with its name, experiment, times and status", () =>
    Effect.gen(function* () {
      const { read } = yield* deliver(openNew(), [], { status: "killed" })
      assert.deepInclude(read, {
        name: "baseline",
        experiment: "digits",
        status: "KILLED",
        start: 1_700_000_000_250,
        end: 1_700_000_100_500
      })
    })
  )

  it.live("keeps every point: special values, repeated, late, negative and large steps", () =>
    Effect.gen(function* () {
      const most = Number.MAX_SAFE_INTEGER
      const logged = [
        at(0, 0.1, 1),
        at(1, Number.NaN, 2),
        at(2, Number.POSITIVE_INFINITY, 3),
        at(3, Number.NEGATIVE_INFINITY, 4),
        at(4, -0, 5),
        at(4, 7, 6),
        at(4, 7, 7),
        at(-3, 1e-308, 8),
        at(most, 1e21, 9),
        at(-most, 5e-324, 10),
        at(2, 3, 10.0004)
      ]
      const { read, report } = yield* deliver(openNew(), [points(0, logged)])
      assert.deepStrictEqual(report.rejected, [])
      const max = 1.7976931348623157e308
      // By time, then step: the two of one millisecond stand in the order of their steps.
      assert.deepStrictEqual(read.metrics["loss"], [
        [0, 0.1, 1000],
        [1, "nan", 2000],
        [2, max, 3000],
        [3, -max, 4000],
        [4, 0, 5000],
        [4, 7, 6000],
        [4, 7, 7000],
        [-3, 1e-308, 8000],
        [most, 1e21, 9000],
        [-most, 5e-324, 10_000],
        [2, 3, 10_000]
      ])
    })
  )

  it.live("stores a batch that comes again once", () =>
    Effect.gen(function* () {
      const events = [
        points(0, [at(0, 1), at(1, Number.NaN), at(2, 2)]),
        params(1, [["lr", 0.1]]),
        tags(2, [["stage", "dev"]])
      ]
      const open = openNew()
      yield* deliver(open, events)
      const { read, report } = yield* deliver(open, [...events, ...events])
      assert.deepStrictEqual(report.rejected, [])
      assert.strictEqual(read.metrics["loss"]?.length, 3)
      assert.strictEqual(read.params["lr"], "0.1")
    })
  )

  it.live("takes names of any kind, and keeps apart what is apart", () =>
    Effect.gen(function* () {
      const names = [
        "hits@10",
        "損失",
        "a//b",
        "../x",
        "_x40_",
        "emoji \u{1F600}",
        "f1(macro)",
        `${"long/".repeat(70)}x`
      ]
      const all = [
        ...names.map((name) => series(name)),
        series("loss", { subset: "val" }),
        series("val/loss"),
        series("loss", { rank: 3 }),
        series("loss", { rank: "3" })
      ]
      const { read, report } = yield* deliver(openNew(), [
        points(
          0,
          all.map((one, index) => at(index, index, 1_700_000_000, one))
        ),
        params(
          1,
          names.map((name, index) => [name, index])
        ),
        tags(
          2,
          names.map((name, index) => [name, String(index)])
        )
      ])
      assert.deepStrictEqual(report.rejected, [])
      assert.strictEqual(Object.keys(read.metrics).length, all.length)
      assert.strictEqual(Object.keys(read.params).length, names.length)
      assert.containsAllKeys(read.metrics, ["val / loss", "val/loss", "rank_3 / loss", "hits_x40_10", "損失"])
      assert.strictEqual(read.tags["hits_x40_10"], "0")
      assert.isTrue(
        Object.entries(read.tags).some(
          ([key, value]) => key.startsWith("tracelet.series.") && value.includes("long/long/")
        )
      )
    })
  )

  it.live("flattens params, writes them as MLflow's client does, and cuts long ones with the whole beside", () =>
    Effect.gen(function* () {
      const long = "損".repeat(6_001)
      const { read } = yield* deliver(openNew(), [
        params(0, [
          ["optimizer", { name: "adam", betas: [0.9, 0.999], nested: { "a/b": 1 } }],
          ["amp", true],
          ["seed", null],
          ["empty", {}],
          ["prompt", long],
          ["fits", "x".repeat(6_000)]
        ])
      ])
      const { prompt = "", fits, ...rest } = read.params
      assert.deepStrictEqual(rest, {
        "optimizer/name": "adam",
        "optimizer/betas": "[0.9,0.999]",
        "optimizer/nested/a_x2f_b": "1",
        amp: "True",
        seed: "None",
        empty: "{}"
      })
      assert.strictEqual(fits, "x".repeat(6_000))
      assert.strictEqual([...prompt].length, 6_000)
      assert.include(prompt, "[6001 characters, all of them in the artifact params/prompt.txt]")
      assert.include(read.files, "params/prompt.txt")
    })
  )

  it.live("rejects a param that changes, alone, and says both values", () =>
    Effect.gen(function* () {
      const open = openNew()
      yield* deliver(open, [params(0, [["lr", 0.1]])])
      const { read, report } = yield* deliver(open, [
        params(0, [
          ["lr", 0.2],
          ["momentum", 0.9]
        ]),
        points(1, [at(0, 1)]),
        params(2, [["decay", 1]])
      ])
      assert.deepStrictEqual(
        report.rejected.map(({ event, index }) => [event, index]),
        [[0, 0]]
      )
      assert.match(report.rejected[0]?.reason ?? "", /lr.*0\.1.*0\.2/)
      assert.deepStrictEqual(read.params, { lr: "0.1", momentum: "0.9", decay: "1" })
      assert.strictEqual(read.metrics["loss"]?.length, 1)
    })
  )

  it.live("sets, changes and takes away tags, and renames the run", () =>
    Effect.gen(function* () {
      const { read } = yield* deliver(openNew({ tags: { owner: "ada", draft: "yes" } }), [
        tags(0, [["stage", "dev"]]),
        tags(1, [
          ["stage", "prod"],
          ["draft", null],
          ["never", null],
          ["note", "n".repeat(8_001)]
        ]),
        renamed(2, "baseline, fixed seed")
      ])
      assert.deepInclude(read.tags, { owner: "ada", stage: "prod" })
      assert.doesNotHaveAnyKeys(read.tags, ["draft", "never"])
      assert.strictEqual(read.tags["note"]?.length, 8_000)
      assert.include(read.files, "tags/note.txt")
      assert.strictEqual(read.name, "baseline, fixed seed")
    })
  )

  it.live("makes a run with more tags than one request takes", () =>
    Effect.gen(function* () {
      const many = Object.fromEntries(
        Array.from({ length: 150 }, (_, i) => [`tag${i}`, "x".repeat(i === 7 ? 9_000 : 1)])
      )
      const { read } = yield* deliver(openNew({ tags: many }), [])
      assert.strictEqual(Object.keys(read.tags).filter((key) => key.startsWith("tag")).length, 150)
      assert.deepStrictEqual(read.files, ["tags/tag7.txt"])
    })
  )

  it.live("finds the run again instead of making another, whatever became of the cursor", () =>
    Effect.gen(function* () {
      const open = openNew()
      const first = yield* deliver(open, [points(0, [at(0, 1)])])
      const second = yield* deliver(open, [points(1, [at(1, 2)])])
      assert.strictEqual(second.id, first.id)
      assert.strictEqual(second.read.metrics["loss"]?.length, 2)
    })
  )

  it.live("nests a run in its parent, also where the parent comes later", () =>
    Effect.gen(function* () {
      const parent = openNew()
      const child = openNew()
      const nested = { ...child, started: { ...child.started, parent: parent.run.id } }
      const alone = yield* deliver(nested, [])
      assert.notProperty(alone.read.tags, "mlflow.parentRunId")
      const { id } = yield* deliver(parent, [])
      const { read } = yield* deliver({ ...nested, remote: alone.id }, [])
      assert.strictEqual(read.tags["mlflow.parentRunId"], id)
    })
  )

  it.live("logs into a run that is there, and opens it again", () =>
    Effect.gen(function* () {
      const { id } = yield* deliver(openNew(), [points(0, [at(0, 1)])])
      const { id: attached, read } = yield* deliver(openNew({ name: "other" }), [points(0, [at(1, 2)])], {
        runId: id,
        status: "failed"
      })
      assert.strictEqual(attached, id)
      assert.deepInclude(read, { name: "baseline", status: "FAILED" })
      assert.strictEqual(read.metrics["loss"]?.length, 2)
    })
  )

  it.live("says where a run was begun, as MLflow's own client does", () =>
    Effect.gen(function* () {
      const open = openNew()
      const origin = {
        program: "train.py",
        user: "ada",
        host: "node7",
        git: { commit: "c0ffee", branch: "main", remote: "https://example.org/r.git", isDirty: true }
      }
      const { read } = yield* deliver({ ...open, started: { ...open.started, origin } }, [])
      assert.deepInclude(read.tags, {
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": "ada",
        "mlflow.source.git.commit": "c0ffee",
        "mlflow.source.git.branch": "main",
        "mlflow.source.git.repoURL": "https://example.org/r.git",
        "mlflow.source.git.dirty": "true"
      })
    })
  )

  it.live("holds a run that was deleted there, and says what to do", () =>
    Effect.gen(function* () {
      const open = openNew()
      const { id } = yield* deliver(open, [])
      const server = yield* Effect.promise(shared)
      yield* Effect.promise(() =>
        server.python(`import mlflow\nmlflow.MlflowClient().delete_run("${id}")\nprint("null")`)
      )
      const error = yield* Effect.flip(deliver({ ...open, remote: id }, []))
      assert.strictEqual(error.reason._tag, "Held")
      assert.include(error.message, "restore")
    })
  )

  it.live("stores images, texts, tables and artifacts where MLflow's page looks for them, once", () =>
    Effect.gen(function* () {
      const digest = `sha256:${"0".repeat(64)}` as const
      const bytes = Buffer.from("not really a picture")
      const open = openNew({}, () => Stream.make(new Uint8Array(bytes)))
      const media = { time: 1_700_000_000.5, context: { subset: "val" }, step: 3, digest, bytes: bytes.length }
      const events: ReadonlyArray<RunEvent> = [
        { ...media, _tag: "Media", name: "samples/digits", kind: "image", mediaType: "image/png", position: 1 },
        { ...media, _tag: "Media", name: "confusion", kind: "table", mediaType: "application/json", position: 2 },
        {
          ...media,
          _tag: "Media",
          name: "weights",
          kind: "histogram",
          mediaType: "application/json",
          edges: [0, 1, 2],
          counts: [3, 4],
          position: 3
        },
        { ...media, _tag: "Text", name: "note", text: "hello", position: 4 },
        {
          _tag: "Artifact",
          time: 1,
          name: "model",
          type: "model",
          files: [{ path: "weights #1 50%.pt", digest, bytes: bytes.length }],
          references: [],
          position: 5
        },
        {
          _tag: "Artifact",
          time: 1,
          name: "digits",
          type: "dataset",
          files: [],
          references: ["s3://bucket/digits"],
          input: { context: "training", digest: "v1", sourceType: "s3" },
          position: 6
        }
      ]
      yield* deliver(open, events)
      const { read, report } = yield* deliver(open, events)
      assert.deepStrictEqual(report.rejected, [])
      const shapes = read.files.map((file) =>
        file.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID").replace(/(?<=3-)[0-9a-f]{8}(?=\.)/, "ID")
      )
      assert.deepStrictEqual(shapes, [
        "histograms/val/weights/3-ID.json",
        "images/val~samples~digits+step+3+timestamp+1700000000500+UUID+compressed.webp",
        "images/val~samples~digits+step+3+timestamp+1700000000500+UUID.png",
        "metadata/digits.json",
        "model/weights _x23_1 50_x25_.pt",
        "tables/val/confusion/3-ID.json",
        "texts/val/note/3-ID.txt"
      ])
      assert.strictEqual(read.tags["mlflow.loggedImages"], "True")
      const [table] = read.files.filter((file) => file.startsWith("tables/"))
      assert.deepStrictEqual(JSON.parse(read.tags["mlflow.loggedArtifacts"] ?? ""), [{ path: table, type: "table" }])
      assert.deepStrictEqual(read.inputs, [["digits", "v1", '{"uri":"s3://bucket/digits"}', ["training"]]])
    })
  )

  it.live("learns the version and the experiment of a server, and writes nothing", () =>
    Effect.gen(function* () {
      const { uri: trackingUri } = yield* Effect.promise(shared)
      const config = yield* decode({ trackingUri, experiment: "never made" })
      const client = MlflowClient.layer(config).pipe(Layer.provide(FetchHttpClient.layer))
      const twice = Effect.andThen(MlflowBackend.check(config), MlflowBackend.check(config))
      assert.deepStrictEqual(yield* Effect.provide(twice, client), { version: "3.18.0", experiment: "to be made" })
    })
  )
})
