import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { describe } from "vitest"
import { held, poison, transient } from "../src/BackendError.ts"
import * as Journal from "../src/Journal.ts"
import * as JournalStorage from "../src/JournalStorage.ts"
import * as Processor from "../src/Processor.ts"
import * as Route from "../src/Route.ts"
import * as Tracelet from "../src/Tracelet.ts"
import * as Tracker from "../src/Tracker.ts"
import * as Recording from "./support/RecordingBackend.ts"

const tracking = (recording: ReturnType<typeof Recording.make>) =>
  Tracelet.layer({ drain: "5 seconds", backends: { memory: Recording.plugin(recording).plugin() } }).pipe(
    Layer.provideMerge(Journal.layerMemory)
  )

const logMany = (count: number) =>
  Effect.gen(function* () {
    yield* Tracker.logParams({ lr: 0.1, layers: [64, 32] })
    for (let step = 0; step < count; step++) yield* Tracker.log({ loss: step / 2 }, { step })
  }).pipe(Tracker.withRun({ project: "p", name: "n", tags: ["demo"] }))

/** What the types let nobody write. */
const untyped = (value: unknown) => JSON.parse("[null]", () => value)

const steps = (recording: ReturnType<typeof Recording.make>) => recording.points.map(({ step }) => step)
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

describe("Tracelet.layer", () => {
  it.live("delivers what a run logged, each point once and in order, and closes the run with its status", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      yield* Effect.provide(logMany(5_000), tracking(recording))
      assert.deepStrictEqual(steps(recording), upTo(5_000))
      assert.deepStrictEqual(recording.others, ["Params"])
      assert.strictEqual(recording.closed[0]?.status, "finished")
      assert.strictEqual(recording.opened[0]?.run.name, "n")
    })
  )

  it.live("keeps the batch when a write fails and can be tried again", () =>
    Effect.gen(function* () {
      const recording = Recording.make([{ fail: transient("memory", "down") }, { fail: transient("memory", "down") }])
      yield* Effect.provide(logMany(3_000), tracking(recording))
      assert.deepStrictEqual(steps(recording), upTo(3_000))
    })
  )

  it.live("sends the rest again when a write took a prefix", () =>
    Effect.gen(function* () {
      const recording = Recording.make([
        { report: () => ({ rejected: [], retryFrom: { event: 1, index: 100 } }) },
        {
          report: (batch) => ({
            rejected: [{ event: batch.events.length - 1, index: 3, reason: "no" }],
            retryFrom: undefined
          })
        }
      ])
      yield* Effect.provide(logMany(900), tracking(recording))
      assert.deepStrictEqual(
        steps(recording),
        upTo(900).filter((step) => step !== 103)
      )
    })
  )

  it.live("puts the one point aside that poisons a batch, and delivers all others", () =>
    Effect.gen(function* () {
      const recording = Recording.make([], ({ step }) =>
        step === 1_234 ? poison("memory", "step 1234 is cursed") : undefined
      )
      yield* Effect.gen(function* () {
        yield* logMany(3_000)
      }).pipe(Effect.provide(tracking(recording)))
      assert.deepStrictEqual(
        steps(recording),
        upTo(3_000).filter((step) => step !== 1_234)
      )
      assert.strictEqual(recording.closed.length, 1)
    })
  )

  it.live("costs the other backends nothing when one hangs", () =>
    Effect.gen(function* () {
      const good = Recording.make()
      const bad = Recording.make([{ hang: true }])
      const layer = Tracelet.layer({
        drain: "300 millis",
        backends: { good: Recording.plugin(good).plugin(), bad: Recording.plugin(bad).plugin() }
      }).pipe(Layer.provide(Journal.layerMemory))
      yield* Effect.provide(logMany(2_000), layer)
      assert.deepStrictEqual(steps(good), upTo(2_000))
      assert.strictEqual(good.closed[0]?.status, "finished")
      assert.deepStrictEqual(bad.points, [])
    })
  )

  it.live("holds a lane that the service refuses, and ends all the same", () =>
    Effect.gen(function* () {
      const recording = Recording.make([{ fail: held("memory", "the run was deleted there") }])
      yield* Effect.provide(logMany(10), tracking(recording))
      assert.deepStrictEqual(recording.points, [])
    })
  )

  it.live("routes kinds and renames series", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const layer = Tracelet.layer({
        backends: { memory: Recording.plugin(recording).plugin() },
        routes: { memory: Route.kinds("points") },
        processors: [Processor.rename({ "l(.*)": "train/l$1" })]
      }).pipe(Layer.provide(Journal.layerMemory))
      yield* Effect.provide(logMany(10), layer)
      assert.deepStrictEqual([...new Set(recording.points.map(({ name }) => name))], ["train/loss"])
      assert.isFalse(recording.others.includes("Params"))
    })
  )

  for (const [ending, status] of [
    [Effect.fail("no"), "failed"],
    [Effect.die(new Error("no")), "failed"],
    [Effect.interrupt, "killed"]
  ] as const) {
    it.live(`ends a run as ${status} when its effect does (${String(ending)})`, () =>
      Effect.gen(function* () {
        const recording = Recording.make()
        const exit = yield* Tracker.log({ loss: 1 }).pipe(
          Effect.andThen(ending),
          Tracker.withRun({}),
          Effect.exit,
          Effect.provide(tracking(recording))
        )
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(recording.closed[0]?.status, status)
        assert.deepStrictEqual(recording.points, [{ name: "loss", step: 0, value: 1 }])
      })
    )
  }

  it.live("gives steps where none are given: one more than the greatest of the series", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      yield* Effect.gen(function* () {
        yield* Tracker.log({ a: 1 })
        yield* Tracker.log({ a: 2 }, { step: -5 })
        yield* Tracker.log({ a: 3 }, { step: 10 })
        yield* Tracker.log({ a: 4, b: 5 })
      }).pipe(Tracker.withRun(), Effect.provide(tracking(recording)))
      assert.deepStrictEqual(
        recording.points.map(({ name, step }) => `${name}${step}`),
        ["a0", "a-5", "a10", "a11", "b0"]
      )
    })
  )

  it.live("refuses what fits no journal without raising, and keeps the rest", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      yield* Effect.gen(function* () {
        yield* Tracker.log({ "": 1, ok: 2, "\ud800": 3, ["x".repeat(1_000_000)]: 4 })
        yield* Tracker.log({ ok: 5 }, { step: 0.5 })
        yield* Tracker.log({ ok: 6 }, { step: 2 ** 53 })
        yield* Tracker.log(Object.fromEntries([["__proto__", 7]]), { step: -(2 ** 53 - 1) })
      }).pipe(Tracker.withRun(), Effect.provide(tracking(recording)))
      assert.deepStrictEqual(recording.points, [
        { name: "ok", step: 0, value: 2 },
        { name: "__proto__", step: -(2 ** 53 - 1), value: 7 }
      ])
    })
  )

  it.live("J5.21: takes booleans and bigints as numbers, where they have one", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      yield* Effect.gen(function* () {
        yield* Tracker.log({ yes: true, no: false, whole: 12n, beyond: 2n ** 53n + 1n, none: 10n ** 400n })
        yield* Tracker.logText("note", "a\ud800b")
      }).pipe(Tracker.withRun(), Effect.provide(tracking(recording)))
      assert.deepStrictEqual(
        recording.points.map(({ name, value }) => [name, value]),
        [
          ["yes", 1],
          ["no", 0],
          ["whole", 12],
          ["beyond", 2 ** 53]
        ]
      )
      assert.deepStrictEqual(recording.others, ["Text"])
    })
  )

  it.live("J6.1: refuses the one param that is too long, and keeps the others of the call", () =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const loggers = new Set([Logger.make(({ message }) => void said.push(String(message)))])
      const recording = Recording.make()
      yield* Tracker.logParams({ lr: 1, weights: "y".repeat(70_000_000), layers: [64] }).pipe(
        Tracker.withRun(),
        Effect.provide(tracking(recording)),
        Effect.provideService(Logger.CurrentLoggers, loggers)
      )
      assert.deepStrictEqual(recording.others, ["Params", "Params"])
      assert.include(said.join("\n"), 'param: it is longer than 64 MiB ("weights")')
    })
  )

  it.live("records its backends without their secrets", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const layer = Tracelet.layer({
        backends: { memory: Recording.plugin(recording).plugin({ url: "http://me:secret@host/x", token: "secret" }) }
      }).pipe(Layer.provideMerge(Journal.layerMemory))
      yield* Effect.gen(function* () {
        const run = yield* Tracker.startRun({})
        const journal = yield* Journal.Journal
        const started = yield* (yield* journal.open(run.id)).started
        assert.deepStrictEqual(started?.backends, [
          { name: "memory", plugin: "backend.recording", version: "1", config: { url: "http://host/x" } }
        ])
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )

  it.live("keeps nothing that is logged after the run has ended, says so, and fails what asked for certainty", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const layer = tracking(recording)
      yield* Effect.gen(function* () {
        const run = yield* Effect.scoped(
          Effect.tap(Tracker.startRun({}), (started) => started.provide(Tracker.log({ loss: 1 })))
        )
        yield* run.provide(Tracker.log({ late: 2 }))
        yield* run.provide(Tracker.logParams({ late: 3 }))
        const durable = yield* Effect.flip(run.provide(Tracker.log({ late: 4 }, { durable: true })))
        assert.include(durable.message, "has ended")
        assert.include((yield* Effect.flip(run.provide(Tracker.flush))).message, "has ended")
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        recording.points.map(({ name }) => name),
        ["loss"]
      )
    })
  )

  it.live("refuses a route to none of the backends, which only a literal shows to the compiler", () =>
    Effect.gen(function* () {
      const options = {
        backends: { memory: Recording.plugin(Recording.make()).plugin({}) },
        routes: { memory: Route.kinds("points"), wandb: Route.kinds("points") }
      }
      const error = yield* Effect.flip(
        Effect.scoped(Layer.build(Tracelet.layer(options).pipe(Layer.provide(Journal.layerMemory))))
      )
      assert.include(error.message, 'a route to "wandb", which is none of the backends (memory)')
    })
  )

  it.live("fails with an error that says what was given and what is wanted, where no compiler saw the wiring", () =>
    Effect.gen(function* () {
      const local = Recording.plugin(Recording.make()).plugin()
      const raising = {
        get backends(): never {
          throw new Error("read me not")
        }
      }
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [undefined, "What Tracelet.layer was given is undefined, and an object"],
        [raising, "What Tracelet.layer was given cannot be read: Error: read me not."],
        [{}, "`backends` of Tracelet.layer is undefined, and an object such as { local: Local.plugin() } is wanted."],
        [{ backends: [local] }, "`backends` of Tracelet.layer is a list"],
        [{ backends: { local: null } }, "`backends.local` of Tracelet.layer is null, and a configured plugin"],
        [{ backends: { local: "secret" } }, "`backends.local` of Tracelet.layer is a text, and a configured plugin"],
        [{ backends: { local: Recording.plugin(Recording.make()) } }, "what its function `plugin` returns"],
        [{ backends: { local: () => local } }, "what its function `plugin` returns"],
        [
          { backends: { local }, routes: { local: "points" } },
          "`routes.local` of Tracelet.layer is a text, and a route"
        ],
        [{ backends: { local }, routes: 5 }, "`routes` of Tracelet.layer is 5"],
        [{ backends: { local }, processors: [{ id: "x" }] }, "`processors[0]` of Tracelet.layer is an object"],
        [{ backends: { local }, processors: {} }, "`processors` of Tracelet.layer is an object, and a list"],
        [{ backends: { local }, processors: [local] }, `${local.id} is none of what \`processors\``],
        [{ backends: { local }, collectors: [null] }, "`collectors[0]` of Tracelet.layer is null"],
        [{ backends: { local }, collectors: [local] }, `${local.id} is none of what \`collectors\``],
        [{ backends: { local }, drain: "soon" }, "`drain` of Tracelet.layer is a text, and a duration"],
        [{ backends: { local }, onFull: "fail" }, '`onFull` of Tracelet.layer is a text, and "block" or "dropNewest"'],
        [{ backends: { local }, bufferBytes: -1 }, "`bufferBytes` of Tracelet.layer is -1, and a number of bytes"],
        [{ backends: { local }, retention: { age: "old" } }, "`retention.age` of Tracelet.layer is a text"],
        [{ backends: { local }, retention: { bytes: null } }, "`retention.bytes` of Tracelet.layer is null"]
      ]
      for (const [options, expected] of cases) {
        const wiring: { readonly backends: {} } = untyped(options)
        const layer = Tracelet.layer(wiring).pipe(Layer.provide(Journal.layerMemory))
        const error: unknown = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.instanceOf(error, Tracker.RunOptionsError, expected)
        assert.include(String(error), expected)
        assert.notInclude(String(error), "secret")
      }
    })
  )

  it.live("fails with an error that says so where a run's options are none, and begins no run", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const raising = new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error("read me not")
          }
        }
      )
      yield* Effect.gen(function* () {
        for (const [options, expected] of [
          [5, "What a run was given as its options is 5, and an object"],
          [null, "What a run was given as its options is null"],
          ["digits", "What a run was given as its options is a text"],
          [{ tags: raising }, "A run's tags cannot be read: Error: read me not."]
        ] as const) {
          const error: unknown = yield* Effect.flip(Effect.void.pipe(Tracker.withRun(untyped(options))))
          assert.instanceOf(error, Tracker.RunOptionsError)
          assert.include(String(error), expected)
        }
      }).pipe(Effect.provide(tracking(recording)))
      assert.deepStrictEqual(recording.opened, [])
    })
  )

  it.live("fails with an error that says so where a folder is no path", () =>
    Effect.gen(function* () {
      for (const [options, found] of [
        [{ dir: 3 }, "3"],
        [{ dir: "" }, "an empty text"],
        [{}, "undefined"],
        [undefined, "undefined"]
      ] as const) {
        const layer = Layer.provide(Journal.layerFile(untyped(options)), JournalStorage.layerMemory)
        const error: unknown = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.instanceOf(error, JournalStorage.StorageError)
        assert.include(
          String(error),
          `The folder of the journals is ${found}, and a path such as ".tracelet" is wanted.`
        )
      }
    })
  )

  it.live("J10.2: calls a run failed that failed and was interrupted", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      yield* Effect.failCause(Cause.combine(Cause.fail("no"), Cause.interrupt(1))).pipe(
        Tracker.withRun({}),
        Effect.exit,
        Effect.provide(tracking(recording))
      )
      assert.strictEqual(recording.closed[0]?.status, "failed")
    })
  )

  it.live("J5.20: numbers texts from 0, each name and context by itself", () =>
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const run = yield* Tracker.startRun()
      const text = (name: string, options?: Tracker.LogOptions) => run.provide(Tracker.logText(name, "…", options))
      yield* text("a")
      yield* text("a")
      yield* text("a", { step: 9 })
      yield* text("a")
      yield* text("b")
      yield* text("a", { context: { subset: "val" } })
      yield* run.provide(Tracker.flush)
      const reader = yield* (yield* journal.open(run.id)).reader(new Map(), { points: 100, bytes: 1e6 })
      const numbered = (yield* reader.next)?.events.flatMap((event) => (event._tag === "Text" ? [event.step] : []))
      assert.deepStrictEqual(numbered, [0, 1, 9, 10, 0, 0])
    }).pipe(Effect.scoped, Effect.provide(tracking(Recording.make())))
  )

  it.live("takes anything without raising: what is not legal is refused and counted", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      // As untyped data comes: JSON that nobody checked.
      const anything = (json: string) => JSON.parse(json)
      const raising = {
        get loss(): number {
          throw new Error("read me not")
        }
      }
      // It has no text: `String(mute)` raises.
      const mute: unknown = Object.create(null)
      const said: Array<string> = []
      const recorder = Logger.make(({ message }) => void said.push(String(message)))
      const result = yield* Effect.gen(function* () {
        yield* Tracker.log({ ok: 1 }, { context: { subset: "val" } })
        for (const context of ["null", "5", '"x"', "[1]", '{"a":null}']) {
          yield* Tracker.log({ ok: 2 }, { context: anything(context) })
        }
        yield* Tracker.log(raising)
        yield* Tracker.log(anything('{"ok":"3"}'))
        yield* Tracker.log(anything("null"))
        yield* Tracker.logText("t", anything("5"))
        yield* Tracker.logParams(anything("null"))
        yield* Tracker.setTags(anything("null"))
        yield* Tracker.logParams({
          bad: {
            toJSON: () => {
              throw new Error("toJSON")
            }
          },
          good: 1
        })
        for (const json of ["5", "null", "[]"]) {
          yield* Tracker.log(anything(json))
          yield* Tracker.logParams(anything(json))
          yield* Tracker.setTags(anything(json))
        }
        yield* Tracker.log(untyped(new Map([["a", 1]])))
        yield* Tracker.setTags(anything('["demo", 3, null]'))
        for (const name of [5, Symbol("name"), undefined, mute]) yield* Tracker.logText(untyped(name), "x")
        yield* Tracker.log(
          untyped(
            new Proxy(
              {},
              {
                ownKeys: () => {
                  throw mute
                }
              }
            )
          )
        )
        yield* Tracker.log({ ok: 4 })
        return "the trained model"
      }).pipe(
        Tracker.withRun(),
        Effect.provide(tracking(recording)),
        Effect.provideService(Logger.CurrentLoggers, new Set([recorder]))
      )
      assert.strictEqual(result, "the trained model")
      assert.deepStrictEqual(
        recording.points.map(({ value }) => value),
        [1, 4]
      )
      const refused = said.filter((line) => line.includes("not kept")).join("\n")
      assert.include(refused, "4 values of run")
      for (const reason of ["no object of names and values", "text: a name must be text", "tag: a name must be text"])
        assert.include(refused, reason)
      assert.strictEqual(recording.closed[0]?.status, "finished")
    })
  )
})
