import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import { Backend } from "../src/Backend.ts"
import { poison, transient, type BackendError } from "../src/BackendError.ts"
import { passed } from "../src/Cursor.ts"
import * as DeadLetter from "../src/DeadLetter.ts"
import * as Journal from "../src/Journal.ts"
import { JournalStorage } from "../src/JournalStorage.ts"
import { deliver } from "../src/Pipeline.ts"
import { RunId } from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import * as Recording from "./support/RecordingBackend.ts"

const run = RunId.make("0123456789abcdef")
const started = runStarted(run, { time: 1, name: "n" })
const values = [1, NaN, 3, -0, Infinity, -Infinity, 7]

const setUp = Effect.gen(function* () {
  const { files, storage } = makeMemory()
  const layer = Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, storage)))
  const journal = yield* Effect.provide(Journal.Journal, layer)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const writer = yield* journal.write({ run, role: "primary" })
      writer.event(started)
      writer.event({ _tag: "Params", time: 1, params: { odd: NaN, zero: -0 } })
      for (const value of values) writer.point("loss", value, undefined, undefined, 1)
      writer.event({ _tag: "RunFinished", time: 9, status: "finished" })
      yield* writer.commit
    })
  )
  const opened = yield* journal.open(run)
  let refuses: (value: number) => BackendError | undefined = () => undefined
  const recording = Recording.make([], ({ value }) => refuses(value))
  const { backend } = recording
  const deliverFor = (seconds: number, other: Backend["Service"] = backend) =>
    Effect.scoped(
      Effect.gen(function* () {
        const target = { backend: other, route: undefined, processors: [], permits: Semaphore.makeUnsafe(1) }
        const delivery = yield* deliver(opened, started, new Map([["service", target]]))
        for (let i = 0; i < seconds * 10; i++) yield* TestClock.adjust(100)
        return (yield* delivery?.backends ?? Effect.succeed(new Map())).get("service")
      })
    )
  const file = `d/runs/${run}/deadletter/service.ndjson`
  const counts = Effect.map(opened.cursor("service"), (cursor) =>
    typeof cursor === "object" ? cursor.counts : undefined
  )
  const letters = DeadLetter.read(opened, "service")
  const retry = Effect.flatMap(letters, (contents) =>
    DeadLetter.mark(opened, "service", contents, contents.letters, "retry")
  )
  return {
    counts,
    deliverFor,
    file,
    files,
    letters,
    opened,
    recording,
    refuse: (how: typeof refuses) => (refuses = how),
    retry
  }
})

const odd = (value: number) =>
  Number.isFinite(value) && !Object.is(value, -0) ? undefined : poison("service", `no ${value}`)

const events = values.length + 1

describe("a dead letter", () => {
  it.effect("J14.1, J5.24: keeps values that JSON has no number for", () =>
    Effect.gen(function* () {
      const { deliverFor, file, files, letters, refuse } = yield* setUp
      refuse(odd)
      assert.deepInclude(yield* deliverFor(3), { delivered: events - 4, deadLetter: 4, state: "done" })
      const found = (yield* letters).letters.map(({ event, reason }) => [event["value"], reason])
      assert.deepStrictEqual(found, [
        ["NaN", "no NaN"],
        [-0, "no 0"],
        ["Infinity", "no Infinity"],
        ["-Infinity", "no -Infinity"]
      ])
      assert.include(new TextDecoder().decode(files.get(file)), `"value":-0`)
    }).pipe(Effect.scoped)
  )

  it.effect(
    "J14.3, J14.4: sends again what it is asked to, once and as it was logged, and counts it as delivered then",
    () =>
      Effect.gen(function* () {
        const { counts, deliverFor, letters, recording, refuse, retry } = yield* setUp
        refuse(odd)
        yield* deliverFor(3)
        const { rejected } = (yield* counts) ?? { rejected: 0 }
        assert.strictEqual(rejected, 4)
        const closed = recording.closed.length
        refuse((value) => (value === Infinity ? poison("service", "still not") : undefined))
        yield* retry
        assert.deepInclude(yield* deliverFor(3), { delivered: events - 1, deadLetter: 1, pending: 0, state: "done" })
        assert.deepStrictEqual(yield* counts, { delivered: events - 1, rejected: 1, filtered: 0 })
        // NaN and −0 by their own signs; the run was opened by the write, and is closed again.
        const late = recording.points.slice(3).map(({ value }) => value)
        assert.isTrue(
          [NaN, -0, -Infinity].every((value, i) => Object.is(late[i], value)),
          String(late)
        )
        assert.strictEqual(recording.closed.length, closed + 1)
        assert.deepStrictEqual(
          (yield* letters).letters.map(({ state, reason }) => [state, reason]),
          [
            ["delivered", "no NaN"],
            ["delivered", "no 0"],
            ["refused", "still not"],
            ["delivered", "no -Infinity"]
          ]
        )
        // Nothing of it comes again.
        const writes = recording.writes()
        yield* deliverFor(3)
        assert.strictEqual(recording.writes(), writes)
      }).pipe(Effect.scoped)
  )

  it.effect("J14.4: counts each letter once, wherever it was cut off between the service's answer and the cursor", () =>
    Effect.gen(function* () {
      const { counts, deliverFor, file, files, refuse, retry } = yield* setUp
      refuse(odd)
      yield* deliverFor(3)
      const cursorPath = `d/runs/${run}/cursors/service.json`
      const before = files.get(cursorPath) ?? new Uint8Array()
      refuse(() => undefined)
      yield* retry
      yield* deliverFor(3)
      const whole = files.get(file) ?? new Uint8Array()
      // The letters say so, and the cursor does not know yet.
      files.set(cursorPath, before)
      yield* deliverFor(3)
      assert.deepStrictEqual(yield* counts, { delivered: events, rejected: 0, filtered: 0 })
      // The line of the last one is torn: it is sent again, which this service can tell, and counted once.
      files.set(file, whole.subarray(0, whole.length - 5))
      files.set(cursorPath, before)
      yield* deliverFor(3)
      const after = yield* counts
      assert.deepStrictEqual(after, { delivered: events, rejected: 0, filtered: 0 })
      assert.strictEqual(after === undefined ? 0 : passed(after), events)
    }).pipe(Effect.scoped)
  )

  it.effect("J14.3: keeps what it is asked to send again while the service is down", () =>
    Effect.gen(function* () {
      const { deliverFor, letters, refuse, retry } = yield* setUp
      refuse(odd)
      yield* deliverFor(3)
      refuse(() => transient("service", "no answer"))
      yield* retry
      assert.deepInclude(yield* deliverFor(60), { state: "waiting", deadLetter: 4, reason: "no answer" })
      assert.isTrue((yield* letters).letters.every(({ state }) => state === "retry"))
      refuse(() => undefined)
      assert.deepInclude(yield* deliverFor(3), { state: "done", deadLetter: 0 })
    }).pipe(Effect.scoped)
  )

  it.effect("J14.4: counts what was given up as left out, and keeps why", () =>
    Effect.gen(function* () {
      const { counts, deliverFor, letters, opened, refuse } = yield* setUp
      refuse(odd)
      yield* deliverFor(3)
      const contents = yield* letters
      yield* DeadLetter.mark(opened, "service", contents, contents.letters.slice(1), "dropped", "not needed")
      const cursor = yield* opened.cursor("service")
      assert(typeof cursor === "object")
      yield* opened.saveCursor(DeadLetter.settle(cursor, DeadLetter.settledOf(yield* letters)), { sync: true })
      assert.deepStrictEqual(yield* counts, { delivered: events - 4, rejected: 1, filtered: 3 })
      assert.deepInclude(yield* deliverFor(3), { deadLetter: 1, state: "done" })
      assert.deepStrictEqual(
        (yield* letters).letters.map(({ state, why }) => [state, why]),
        [["refused", undefined], ...[1, 2, 3].map(() => ["dropped", "not needed"])]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("J14.2: shows damaged and torn lines, and loses no other to them", () =>
    Effect.gen(function* () {
      const { deliverFor, file, files, letters, opened, refuse } = yield* setUp
      refuse(odd)
      yield* deliverFor(3)
      const lines = new TextDecoder().decode(files.get(file)).split("\n")
      const [first = "", second = "", third = "", fourth = ""] = lines
      const text = [first, `{"at":1,"writer"`, "\u0000\u0000", "[]", second, third, fourth.slice(0, 40)].join("\n")
      files.set(file, new TextEncoder().encode(text))
      const contents = yield* letters
      assert.strictEqual(contents.letters.length, 3)
      assert.deepStrictEqual(
        contents.damaged.map(({ line }) => line),
        [2, 3, 4, 7]
      )
      assert.isTrue(contents.isTorn)
      yield* DeadLetter.mark(opened, "service", contents, contents.letters, "dropped", "x")
      const after = yield* letters
      assert.isTrue(after.letters.every(({ state }) => state === "dropped"))
      assert.strictEqual(after.damaged.length, 4)
    }).pipe(Effect.scoped)
  )

  it.effect("J14.3: says so when the journal does not have the event any more", () =>
    Effect.gen(function* () {
      const { deliverFor, letters, opened, refuse } = yield* setUp
      refuse(odd)
      yield* deliverFor(3)
      const gone = { writer: "nobody", position: 8, index: 0, reason: "no", event: {} }
      yield* DeadLetter.put(opened, "service", yield* letters, [gone])
      yield* DeadLetter.mark(opened, "service", yield* letters, [gone], "retry")
      yield* deliverFor(3)
      const last = (yield* letters).letters.at(-1)
      assert.deepInclude(last, { state: "refused", reason: "The journal does not have this event any more." })
    }).pipe(Effect.scoped)
  )
})
