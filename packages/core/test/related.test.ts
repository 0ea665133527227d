/** Runs that belong to others: nested in one, and one that goes on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Journal from "../src/Journal.ts"
import * as Tracelet from "../src/Tracelet.ts"
import * as Tracker from "../src/Tracker.ts"
import * as Recording from "./support/RecordingBackend.ts"

const tracking = (recording: ReturnType<typeof Recording.make>) =>
  Tracelet.layer({ drain: "5 seconds", backends: { memory: Recording.plugin(recording).plugin() } }).pipe(
    Layer.provideMerge(Journal.layerMemory)
  )

const current = Effect.map(CurrentRun, ({ run }) => run)

/** What the types let nobody write. */
const untyped = (value: unknown) => JSON.parse("[null]", () => value)

const standing = (id: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* Journal.Journal
      const found = (yield* journal.runs).find((run) => run === id)
      if (found === undefined) return yield* Effect.die("no such run")
      const run = yield* journal.open(found)
      return { ...(yield* run.standing(yield* run.writersNow)), started: yield* run.started }
    })
  )

describe("A nested run", () => {
  it.live("names the run around it when asked to, or any other, and none by itself (J5.5)", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      const inner = (options: Tracker.RunOptions) => current.pipe(Tracker.withRun(options))
      yield* Effect.gen(function* () {
        const outer = yield* current
        const asked = yield* inner({ parent: "current" })
        const named = yield* inner({ parent: outer })
        const none = yield* inner({})
        assert.strictEqual((yield* standing(asked.id)).started?.parent, outer.id)
        assert.strictEqual((yield* standing(named.id)).started?.parent, outer.id)
        assert.isUndefined((yield* standing(none.id)).started?.parent)
      }).pipe(Tracker.withRun({ name: "sweep" }), Effect.provide(tracking(recording)))
    })
  )

  it.live("fails where there is no run around it, and where the parent is none", () =>
    Effect.gen(function* () {
      for (const [options, expected] of [
        [{ parent: "current" }, "There is no run around this one"],
        [{ parent: "../up" }, "A run's parent is no run and no id of one."],
        [{ parent: untyped(5) }, "A run's parent is no run and no id of one."],
        [{ resume: untyped({}) }, "A run's resume is no run and no id of one."],
        [{ resume: "nowhere" }, "There is no run nowhere in memory to go on with"]
      ] as const) {
        const error: unknown = yield* Effect.flip(Effect.void.pipe(Tracker.withRun(options)))
        assert.instanceOf(error, Tracker.RunOptionsError)
        assert.include(String(error), expected)
      }
    }).pipe(Effect.provide(tracking(Recording.make())))
  )
})

describe("A resumed run", () => {
  it.live("goes on under its id, name and project, is delivered as one, and has the status it ends with (J10.3)", () =>
    Effect.gen(function* () {
      const recording = Recording.make()
      yield* Effect.gen(function* () {
        let id = ""
        yield* Effect.gen(function* () {
          id = (yield* current).id
          yield* Tracker.log({ loss: 1 }, { step: 0 })
          return yield* Effect.fail("crashed")
        }).pipe(Tracker.withRun({ name: "long", project: "p", tags: { a: "1" } }), Effect.ignore)
        assert.strictEqual((yield* standing(id)).status, "failed")
        const resumed = yield* Effect.gen(function* () {
          yield* Tracker.log({ loss: 0.5 }, { step: 1 })
          return yield* current
        }).pipe(Tracker.withRun({ name: "other", resume: id, tags: { b: "2" } }))
        assert.deepStrictEqual(
          [resumed.id, resumed.name, resumed.project, resumed.tags],
          [id, "long", "p", { a: "1", b: "2" }]
        )
        const now = yield* standing(id)
        assert.deepStrictEqual(
          [now.status, now.started?.run.name, now.started?.run.tags],
          ["finished", "long", { a: "1" }]
        )
      }).pipe(Effect.provide(tracking(recording)))
      // Order is kept within a writer, and these are two.
      assert.deepStrictEqual(
        recording.points.map(({ step }) => step).toSorted((a, b) => a - b),
        [0, 1]
      )
      assert.deepStrictEqual(recording.others, ["Tags"])
      assert.strictEqual(recording.closed.at(-1)?.status, "finished")
    })
  )

  it.live("that fails again has failed, and one that runs on elsewhere is running", () =>
    Effect.gen(function* () {
      yield* Effect.gen(function* () {
        const first = yield* current.pipe(Tracker.withRun({}))
        yield* Effect.fail("again").pipe(Tracker.withRun({ resume: first }), Effect.ignore)
        assert.strictEqual((yield* standing(first.id)).status, "failed")
        yield* Effect.gen(function* () {
          const outer = yield* current
          yield* Tracker.log({ loss: 1 }).pipe(Tracker.withRun({ resume: outer }))
          assert.strictEqual((yield* standing(outer.id)).status, "running")
        }).pipe(Tracker.withRun({}))
      })
    }).pipe(Effect.provide(tracking(Recording.make())))
  )
})
