import { spawnSync } from "node:child_process"
import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import { RunId } from "@tracelet/core/Run"
import * as Tracelet from "@tracelet/core/Tracelet"
import * as Tracker from "@tracelet/core/Tracker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as HttpRouter from "effect/http/HttpRouter"
import { describe } from "vitest"
import * as PrometheusPage from "../src/PrometheusPage.ts"
import { point, pointsOf, started, type Logged } from "./support/points.ts"
import * as Python from "./support/python.ts"

const Samples = Schema.Array(
  Schema.Struct({ name: Schema.String, value: Schema.String, labels: Schema.Record(Schema.String, Schema.String) })
)

/** What the parser of Prometheus' own Python client reads on a page. */
const parse = (page: string) =>
  Schema.decodeUnknownSync(Samples)(
    Python.run(
      `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.buffer.read().decode()))
assert all(family.type == "gauge" for family in families), families
assert len({family.name for family in families}) == len(families), "a family twice"
print(json.dumps([{"name": s.name, "value": repr(float(s.value)), "labels": s.labels} for f in families for s in f.samples]))
`,
      page
    )
  )

const promtool = "promtool"
const isPromtoolThere = spawnSync(promtool, ["--version"]).status === 0

/** Prometheus' own check of a page, where Prometheus is installed. */
const check = (page: string): string => {
  const { error, status, stderr, stdout } = spawnSync(promtool, ["check", "metrics"], { input: page, encoding: "utf8" })
  // Status 3 is for advice on names, which are the user's.
  return error === undefined && (status === 0 || status === 3) ? "" : `${status} ${stderr}${stdout}`
}

const pageOf = (logged: ReadonlyArray<Logged>) =>
  Effect.gen(function* () {
    const { take, text } = yield* PrometheusPage.PrometheusPage
    yield* take(started.run, [pointsOf(logged)])
    return yield* text
  }).pipe(Effect.provide(PrometheusPage.layer))

/** Names and contexts of all sorts: illegal, empty after translation, reserved, and such that come to the same. */
const awkward: ReadonlyArray<Logged> = [
  point("train/loss", 0.25, { context: { rank: 1 } }),
  point("train/loss", 0.5, { context: { rank: "1" } }),
  point("train_loss", -0),
  point('größe "x"\n\\', NaN),
  point("a\u0000b", Infinity),
  point("a\u0001b", -Infinity),
  point("0", 1e-320, { context: { job: "j", __name__: "n", "0": true, run: "mine", "": "empty" } }),
  point("😀", 1)
]

describe.skipIf(!Python.hasModule("prometheus_client"))("what Prometheus' parser reads on the page", () => {
  it.effect("is each series once, however it is called", () =>
    Effect.gen(function* () {
      const samples = parse(yield* pageOf(awkward)).filter(({ name }) => name !== "tracelet_page_full")
      assert.strictEqual(samples.length, awkward.length)
      assert.strictEqual(
        new Set(samples.map(({ labels, name }) => JSON.stringify([name, labels]))).size,
        awkward.length
      )
      const own = { run: started.run.id, run_name: started.run.name, project: "p" }
      assert.deepStrictEqual(samples[0], {
        name: "run_train_loss",
        value: "0.25",
        labels: { ...own, series: "train/loss", rank: "1" }
      })
      assert.deepStrictEqual(samples[1]?.labels, { ...own, series: "train/loss", rank: "1", nth: "2" })
      assert.deepStrictEqual(samples[2], {
        name: "run_train_loss",
        value: "-0.0",
        labels: { ...own, series: "train_loss" }
      })
      assert.deepStrictEqual(
        samples.map(({ value }) => value).toSorted((a, b) => (a < b ? -1 : 1)),
        ["-0.0", "-inf", "0.25", "0.5", "1.0", "1e-320", "inf", "nan"]
      )
      const awry = samples.find(({ name }) => name === "run_0")
      assert.deepStrictEqual(Object.keys(awry?.labels ?? {}).slice(4), [
        "context_0",
        "context_job",
        "context___name__",
        "context_run",
        "context_"
      ])
    })
  )

  it.live("is the latest of a run under way, and nothing of one that has ended, over HTTP", () =>
    Effect.gen(function* () {
      const { dispose, handler } = HttpRouter.toWebHandler(
        PrometheusPage.layerHttp().pipe(
          Layer.provide(Layer.succeed(PrometheusPage.PrometheusPage, yield* PrometheusPage.PrometheusPage))
        )
      )
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const scrape = Effect.promise(async () => {
        const response = await handler(new Request("http://localhost/metrics"))
        assert.strictEqual(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
        return parse(await response.text()).filter(({ name }) => name === "run_loss")
      })
      const { text } = yield* PrometheusPage.PrometheusPage
      const during = yield* Effect.gen(function* () {
        for (let step = 0; step < 100; step++) yield* Tracker.log({ loss: step }, { step })
        yield* Effect.repeat(text, { until: (page) => page.includes("} 99\n") })
        return yield* scrape
      }).pipe(
        Tracker.withRun({ name: "n" }),
        Effect.provide(
          Tracelet.layer({ backends: { page: PrometheusPage.plugin() } }).pipe(
            Layer.provide(Journal.layerMemory),
            Layer.provide(Layer.succeed(PrometheusPage.PrometheusPage, yield* PrometheusPage.PrometheusPage))
          )
        )
      )
      assert.deepStrictEqual(
        during.map(({ labels, value }) => [labels["series"], labels["run_name"], value]),
        [["loss", "n", "99.0"]]
      )
      assert.deepStrictEqual(yield* scrape, [])
    }).pipe(Effect.provide(PrometheusPage.layer))
  )
})

describe.skipIf(!isPromtoolThere)("promtool", () => {
  it.effect("finds nothing wrong with the page", () =>
    Effect.gen(function* () {
      assert.strictEqual(check(yield* pageOf(awkward)), "")
      assert.notStrictEqual(check('run_a{a="1"} 1\nrun_a{a="1" 1\n'), "")
    })
  )
})

describe("the page", () => {
  it.effect("keeps the value of the greatest time, whatever comes late", () =>
    Effect.gen(function* () {
      const { take, text } = yield* PrometheusPage.PrometheusPage
      yield* take(started.run, [pointsOf([point("a", 1, { time: 20 })])])
      yield* take(started.run, [pointsOf([point("a", 2, { time: 10 })])])
      assert.include(yield* text, `series="a"} 1\n`)
      yield* take(started.run, [pointsOf([point("a", 3, { time: 20 })])])
      assert.include(yield* text, `series="a"} 3\n`)
    }).pipe(Effect.provide(PrometheusPage.layer))
  )

  it.effect("leaves out what comes when it is full, says so, and has room again when a run has ended", () =>
    Effect.gen(function* () {
      const { remove, take, text } = yield* PrometheusPage.PrometheusPage
      const other = { ...started.run, id: RunId.make("other") }
      const names = (from: number, count: number) =>
        pointsOf(Array.from({ length: count }, (_, i) => point(`s${from + i}`, 1)))
      yield* take(started.run, [names(0, PrometheusPage.seriesMax)])
      assert.include(yield* text, "tracelet_page_full 0\n")
      yield* take(other, [names(0, 1)])
      assert.include(yield* text, "tracelet_page_full 1\n")
      assert.notInclude(yield* text, `run="other"`)
      yield* remove(started.run.id)
      yield* take(other, [names(0, 1)])
      assert.include(yield* text, `run="other"`)
      assert.include(yield* text, "tracelet_page_full 0\n")
    }).pipe(Effect.provide(PrometheusPage.layer))
  )
})
