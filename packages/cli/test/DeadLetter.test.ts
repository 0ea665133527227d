import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as DeadLetter from "@tracelet/core/DeadLetter"
import * as Journal from "@tracelet/core/Journal"
import { RunId } from "@tracelet/core/Run"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Output from "../src/Output.ts"
import { golden, now, temporaryFolder, tracelet } from "./support/harness.ts"
import { local, lockDelivery, missing, writeEnded } from "./support/runs.ts"

const id = "aa11".padEnd(32, "0")
const file = (dir: string, backend = "nowhere") => join(dir, "runs", id, "deadletter", `${backend}.ndjson`)
const errorTag = (out: string): string => JSON.parse(out).error.tag

const letters = [
  { event: { _tag: "Point", name: "loss", context: {}, step: 3, value: NaN, time: now }, reason: "NaN is not taken" },
  {
    event: { _tag: "Point", name: "bad\u001b[31m", context: {}, step: -1, value: -0, time: now },
    reason: "no such name"
  },
  { event: { _tag: "Params", time: now, params: { lr: 0.1, layers: [1] } }, reason: "lr was 0.2 before" }
].map((one, i) => ({ writer: "w1", position: 8 * i + 8, index: 0, ...one }))

/** A run whose service has refused three of its events. */
const refusedRun = (dir: string, backend = "nowhere") =>
  Effect.gen(function* () {
    yield* writeEnded(dir, {
      id,
      backends: [local, missing],
      log: (writer) => writer.point("loss", 1, 0, undefined, 1)
    })
    yield* Effect.gen(function* () {
      const run = yield* (yield* Journal.Journal).open(RunId.make(id))
      yield* DeadLetter.put(run, backend, { isTorn: false }, letters)
      yield* run.saveCursor(
        {
          version: 1,
          run: run.id,
          backend,
          epoch: 0,
          pin: { route: null, processors: [] },
          remote: null,
          writers: {},
          counts: { delivered: 0, rejected: 3, filtered: 0 },
          intents: [],
          closed: false
        },
        { sync: false }
      )
    }).pipe(Effect.scoped, Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))
    writeFileSync(
      file(dir, backend),
      readFileSync(file(dir, backend), "utf8").replaceAll(/"at":[\d.]+/g, `"at":${now}`)
    )
  })

const list = (dir: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(tracelet(dir, ["dead-letter", "list", ...args, "--json", "--dir", "."]), ({ out }) =>
    Schema.decodeUnknownEffect(Schema.fromJsonString(Output.DeadLetters))(out)
  )

describe("tracelet dead-letter list", () => {
  it.live("shows what was refused, with its values and reasons, and what cannot be read", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* refusedRun(dir)
        appendFileSync(file(dir), `{"at":1,"writer":"w1","pos`)
        const { code, out } = yield* tracelet(dir, ["dead-letter", "list", "--dir", "."])
        assert.strictEqual(code, 0)
        yield* golden("dead-letter-list", out)
        const { damaged, letters: found } = yield* list(dir, "baseline", "--backend", "nowhere")
        assert.deepStrictEqual(
          found.map(({ reason, state, position }) => [reason, state, position]),
          letters.map(({ reason, position }) => [reason, "refused", position])
        )
        assert.strictEqual(found[0]?.event["value"], "NaN")
        assert.isTrue(Object.is(found[1]?.event["value"], -0))
        assert.deepStrictEqual(
          damaged.map(({ line, backend }) => [line, backend]),
          [[4, "nowhere"]]
        )
        assert.isEmpty((yield* list(dir, "--backend", "other")).letters)
      })
    )
  )

  it.live("says so where nothing was refused", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* writeEnded(dir, { id })
        const { code, out } = yield* tracelet(dir, ["dead-letter", "list", "--dir", "."])
        assert.deepStrictEqual([code, out], [0, "Nothing that waits for you was refused.\n"])
        const retried = yield* tracelet(dir, ["dead-letter", "retry", "baseline", "--json", "--dir", "."])
        assert.deepStrictEqual([retried.code, errorTag(retried.out)], [1, "NothingRefused"])
      })
    )
  )
})

describe("tracelet dead-letter retry", () => {
  it.live("writes down what is to be sent again, once however often it is asked, and exits 3 while it is not", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* refusedRun(dir)
        for (let i = 0; i < 2; i++) {
          const { code, out } = yield* tracelet(dir, ["dead-letter", "retry", "aa11", "--timeout", "2s", "--dir", "."])
          assert.strictEqual(code, 3, out)
          assert.match(out, /^nowhere: 0 events delivered, 3 not sent yet: `tracelet sync` tries again\.\n$/)
        }
        assert.isTrue((yield* list(dir)).letters.every(({ state }) => state === "retry"))
      })
    )
  )

  it.live("leaves a run alone that somebody else delivers", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* refusedRun(dir)
        yield* lockDelivery(dir, id)
        const before = readFileSync(file(dir), "utf8")
        const { code, out } = yield* tracelet(dir, ["dead-letter", "retry", "baseline", "--json", "--dir", "."])
        assert.deepStrictEqual([code, errorTag(out)], [1, "RunInUse"])
        assert.strictEqual(readFileSync(file(dir), "utf8"), before)
      })
    )
  )

  it.live("sends nothing again to a store that is built from the journals", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* refusedRun(dir, "local")
        const args = ["dead-letter", "retry", "baseline", "--backend", "local", "--json", "--dir", "."]
        const { code, out } = yield* tracelet(dir, args)
        assert.deepStrictEqual([code, errorTag(out)], [1, "BuiltFromJournals"])
      })
    )
  )
})

describe("tracelet dead-letter drop", () => {
  const dropping = ["dead-letter", "drop", "baseline", "--why", "a test"]

  it.live("gives up what was refused, keeps why, and counts it no more as refused", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* refusedRun(dir)
        // Torn by a power cut: what comes behind it is a line of its own.
        writeFileSync(file(dir), `${readFileSync(file(dir), "utf8")}{"at":`)
        const { code, out, err } = yield* tracelet(dir, [...dropping, "--yes", "--dir", "."])
        assert.deepStrictEqual([code, out, err], [0, "Gave up 3 events that nowhere refused.\n", ""])
        assert.isEmpty((yield* list(dir)).letters)
        const all = (yield* list(dir, "--all")).letters
        assert.deepStrictEqual(
          all.map(({ state, why }) => [state, why]),
          letters.map(() => ["dropped", "a test"])
        )
        const cursor = JSON.parse(readFileSync(join(dir, "runs", id, "cursors", "nowhere.json"), "utf8"))
        assert.deepStrictEqual(cursor.counts, { delivered: 0, rejected: 0, filtered: 3 })
        assert.deepStrictEqual(cursor.settled, { delivered: 0, dropped: 3 })
      })
    )
  )

  it.live("asks on a terminal, takes anything but yes for no, and does nothing where nobody can be asked", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* refusedRun(dir)
        const asked = yield* tracelet(dir, [...dropping, "--dir", "."], { answer: "n" })
        assert.strictEqual(asked.code, 1)
        assert.match(asked.err, /^Give up 3 events of baseline \(aa110000\) that backends refused\? \[y\/N\] /)
        const unasked = yield* tracelet(dir, [...dropping, "--json", "--dir", "."])
        assert.deepStrictEqual([unasked.code, errorTag(unasked.out)], [2, "UsageError"])
        assert.strictEqual((yield* list(dir)).letters.length, 3)
        assert.strictEqual((yield* tracelet(dir, [...dropping, "--dir", "."], { answer: "y" })).code, 0)
      })
    )
  )
})
