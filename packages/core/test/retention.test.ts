import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { describe } from "vitest"
import * as Cursor from "../src/Cursor.ts"
import * as Journal from "../src/Journal.ts"
import { JournalStorage, StorageError } from "../src/JournalStorage.ts"
import * as Retention from "../src/Retention.ts"
import { RunId } from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import * as Tracelet from "../src/Tracelet.ts"
import * as Tracker from "../src/Tracker.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import { random } from "./support/histories.ts"
import * as Recording from "./support/RecordingBackend.ts"

const candidate = (id: string, endedAt: number, bytes: number, obstacle?: string): Retention.Candidate => ({
  id: RunId.make(id),
  name: id,
  endedAt,
  bytes,
  obstacle
})

const chosen = (candidates: ReadonlyArray<Retention.Candidate>, policy: Retention.Policy) =>
  Retention.choose(candidates, policy, 1_000).map(({ candidate: { id }, why }) => `${id} ${why}`)

describe("a retention policy", () => {
  const runs = [candidate("c", 900, 40), candidate("a", 100, 10), candidate("b", 500, 20)]

  it("J12.1: chooses nothing by default", () => {
    assert.deepStrictEqual(chosen(runs, {}), [])
    assert.isTrue(Retention.isEmpty({}))
  })

  it("J12.1: chooses what ended too long ago, then the oldest until the rest is small enough", () => {
    assert.deepStrictEqual(chosen(runs, { age: Duration.seconds(500) }), ["a age"])
    assert.deepStrictEqual(chosen(runs, { bytes: 60 }), ["a bytes"])
    assert.deepStrictEqual(chosen(runs, { bytes: 59 }), ["a bytes", "b bytes"])
    assert.deepStrictEqual(chosen(runs, { bytes: 0 }), ["a bytes", "b bytes", "c bytes"])
    assert.deepStrictEqual(chosen(runs, { age: Duration.seconds(500), bytes: 45 }), ["a age", "b bytes"])
  })

  it("J12.2: passes over what may not go, and counts it", () => {
    const held = [candidate("a", 100, 50, "it is still written to"), ...runs.filter(({ id }) => id !== "a")]
    assert.deepStrictEqual(chosen(held, { bytes: 55, age: Duration.seconds(1) }), ["b age", "c age"])
    assert.deepStrictEqual(chosen(held, { bytes: 95 }), ["b bytes"])
  })

  it("J12.1: leaves, over generated folders, nothing older than what it takes, and takes no more than it must", () => {
    for (let seed = 1; seed < 2_000; seed++) {
      const rng = random(seed)
      const folder = Array.from({ length: rng.below(12) }, (_, i) =>
        candidate(`r${i}`, rng.below(1_000), rng.below(100), rng.next() < 0.2 ? "no" : undefined)
      )
      const bytes = rng.below(600)
      const taken = Retention.choose(folder, { bytes }, 1_000).map((choice) => choice.candidate)
      const left = folder.filter((one) => !taken.includes(one))
      const sum = (of: ReadonlyArray<Retention.Candidate>) => of.reduce((total, one) => total + one.bytes, 0)
      const free = left.filter(({ obstacle }) => obstacle === undefined)
      const last = taken.at(-1)
      assert.isTrue(taken.every(({ obstacle }) => obstacle === undefined))
      if (last !== undefined) {
        assert.isTrue(
          free.every(({ endedAt }) => endedAt >= last.endedAt),
          `seed ${seed}`
        )
        assert.isAbove(sum(left) + last.bytes, bytes, `seed ${seed}`)
      }
      if (free.length > 0) assert.isAtMost(sum(left), bytes, `seed ${seed}`)
    }
  })

  it("reads ages and sizes with their unit, and nothing else", () => {
    const hours = ["90m", "12h", "30 d", "2w", "1.5d"].map((text) =>
      Retention.ageFromText(text)?.pipe(Duration.toHours)
    )
    assert.deepStrictEqual(hours, [1.5, 12, 720, 336, 36])
    assert.deepStrictEqual(["10B", "10", "1kB", "500 MB", "1.5GB", "2GiB"].map(Retention.bytesFromText), [
      10,
      10,
      1e3,
      5e8,
      1.5e9,
      2 ** 31
    ])
    for (const text of ["", "30", "d", "-1d", "1y", "1s"]) assert.isUndefined(Retention.ageFromText(text))
    for (const text of ["", "1.5", "-1", "10gb", "MB", "1e3MB"]) assert.isUndefined(Retention.bytesFromText(text))
  })
})

/** A run that is over, with a cursor of its backend. */
const record = (
  id: string,
  endedAt: number,
  options: { readonly closed?: boolean; readonly rejected?: number; readonly damaged?: boolean } = {}
) =>
  Effect.gen(function* () {
    const journal = yield* Journal.Journal
    const run = RunId.make(id)
    const writer = yield* Effect.scoped(
      Effect.gen(function* () {
        const open = yield* journal.write({ run, role: "primary" })
        const store = { name: "store", plugin: "backend.store", version: "1", config: {} }
        open.event(runStarted(run, { time: endedAt - 10, name: `run ${id}`, backends: [store] }))
        for (let i = 0; i < 50; i++) open.point("loss", i, i, undefined, endedAt - 5)
        open.event({ _tag: "RunFinished", time: endedAt, status: "finished" })
        yield* open.flush
        return open.id
      })
    )
    const opened = yield* journal.open(run)
    const cursor: Cursor.Cursor = {
      version: 1,
      run,
      backend: "store",
      epoch: 0,
      pin: { route: null, processors: [] },
      remote: null,
      writers: { [writer]: { position: 9_999, index: 0 } },
      counts: { delivered: 50 - (options.rejected ?? 0), rejected: options.rejected ?? 0, filtered: 0 },
      intents: [],
      closed: options.closed ?? true
    }
    yield* opened.saveCursor(cursor, { sync: false })
  }).pipe(Effect.scoped)

const setUp = () => {
  const memory = makeMemory()
  const forgotten: Array<string> = []
  const backend = { ...Recording.make().backend, forget: (run: RunId) => Effect.sync(() => void forgotten.push(run)) }
  const target = { backend, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
  const over = (storage: JournalStorage["Service"]) =>
    Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, storage)))
  const apply = (policy: Retention.Policy) =>
    Effect.flatMap(Journal.Journal, (journal) =>
      Retention.apply(journal, policy, () => Effect.succeed(new Map([["store", target]])))
    )
  return { memory, forgotten, over, apply }
}

const everything: Retention.Policy = { bytes: 0 }

describe("retention", () => {
  it.live("J12.2, J12.4: removes what is over and taken by all, oldest first, and leaves a record of each", () =>
    Effect.gen(function* () {
      const { memory, forgotten, over, apply } = setUp()
      yield* Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* record("younger", 2_000)
        yield* record("older", 1_000)
        yield* record("behind", 500, { closed: false })
        yield* record("refused", 400, { rejected: 3 })
        yield* record("alive", 300)
        for (const path of memory.files.keys()) if (/alive.*lock$/.test(path)) memory.locks.add(path)
        assert.deepStrictEqual(yield* apply({}), [])
        const removed = yield* apply(everything)
        assert.deepStrictEqual(
          removed.map(({ run }) => run.id),
          ["older", "younger"]
        )
        assert.deepStrictEqual(forgotten, ["older", "younger"])
        assert.deepStrictEqual((yield* journal.runs).toSorted(), ["alive", "behind", "refused"])
        const [older] = (yield* Retention.removedRuns(journal)).filter(({ run }) => run.id === "older")
        assert.deepInclude(older, {
          status: "finished",
          startedAt: 990,
          endedAt: 1_000,
          why: "bytes",
          by: { host: "memory", pid: 0 },
          points: 50,
          backends: { store: { delivered: 50, rejected: 0, filtered: 0 } }
        })
        assert.isAbove(older?.bytes ?? 0, 1_000)
        assert.isFalse([...memory.files.keys()].some((path) => /older\/|removed-/.test(path)))
      }).pipe(Effect.provide(over(memory.storage)))
    })
  )

  it.live("J12.2: leaves what somebody delivers, and what nobody can read", () =>
    Effect.gen(function* () {
      const { memory, over, apply } = setUp()
      yield* Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* record("held", 1_000)
        yield* (yield* journal.open(RunId.make("held"))).lock
        yield* memory.storage.makeFolder("d/runs/empty/journal")
        assert.deepStrictEqual(yield* apply(everything), [])
        assert.deepStrictEqual((yield* journal.runs).toSorted(), ["empty", "held"])
      }).pipe(Effect.scoped, Effect.provide(over(memory.storage)))
    })
  )

  it.live("J12.3: cut off at any operation, all of the run is there, or none of it and its record", () =>
    Effect.gen(function* () {
      let cut = 0
      for (let failsAt = 1, isWhole = false; !isWhole; failsAt++) {
        const { memory, over, apply } = setUp()
        yield* Effect.provide(record("run", 1_000), over(memory.storage))
        const before = new Map([...memory.files].filter(([path]) => path.includes("/run/")))
        let operations = 0
        const failing = <A>(operation: Effect.Effect<A, StorageError>) =>
          Effect.suspend(() =>
            ++operations >= failsAt
              ? Effect.fail(new StorageError({ operation: "x", path: "x", code: "EIO", message: "the disk is gone" }))
              : operation
          )
        const { makeFolder, replace, rename, syncFolder, removeFolder } = memory.storage
        const broken: JournalStorage["Service"] = {
          ...memory.storage,
          makeFolder: (folder) => failing(makeFolder(folder)),
          replace: (path, bytes, options) => failing(replace(path, bytes, options)),
          rename: (from, to) => failing(rename(from, to)),
          syncFolder: (folder) => failing(syncFolder(folder)),
          removeFolder: (folder) => failing(removeFolder(folder))
        }
        yield* Effect.ignore(Effect.provide(apply(everything), over(broken)))
        isWhole = operations < failsAt
        if (!isWhole) cut++
        yield* Effect.gen(function* () {
          const journal = yield* Journal.Journal
          const there = (yield* journal.runs).length === 1
          const records = yield* Retention.removedRuns(journal)
          assert.strictEqual(records.length, there ? 0 : 1, `operation ${failsAt}`)
          if (there) {
            const now = new Map(
              [...memory.files].filter(([path]) => path.includes("/run/") && !path.endsWith("delivery.lock"))
            )
            assert.deepStrictEqual(now, before, `operation ${failsAt}`)
          }
          // The next one ends it.
          yield* apply(everything)
          assert.isFalse(
            [...memory.files.keys()].some((path) => path.startsWith("d/runs/")),
            `operation ${failsAt}`
          )
        }).pipe(Effect.provide(over(memory.storage)))
      }
      assert.isAtLeast(cut, 4)
    })
  )

  it.live("J12.1: is an option of an app, which removes earlier runs beside its own", () =>
    Effect.gen(function* () {
      const { memory, over } = setUp()
      const storage = over(memory.storage)
      yield* Effect.provide(record("earlier", 1_000), storage)
      const app = (retention?: { readonly bytes: number }) =>
        Tracelet.layer({
          backends: { store: Recording.plugin(Recording.make()).plugin() },
          ...(retention === undefined ? {} : { retention })
        }).pipe(Layer.provide(storage))
      const train = Tracker.log({ loss: 1 }).pipe(
        Effect.andThen(Effect.sleep("100 millis")),
        Tracker.withRun({ name: "own" })
      )
      yield* Effect.provide(train, app())
      const runs = Effect.provide(
        Effect.flatMap(Journal.Journal, (journal) => journal.runs),
        storage
      )
      assert.include(yield* runs, RunId.make("earlier"))
      yield* Effect.provide(train, app({ bytes: 0 }))
      assert.notInclude(yield* runs, RunId.make("earlier"))
      assert.isAtLeast((yield* runs).length, 1)
    })
  )
})
