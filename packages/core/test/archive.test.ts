/**
 * An archive gives back what its segments held, whatever state they were in, and whatever happens while it is made. Its bytes are compressed in
 * `platform-node/test/archive.test.ts`; storages in memory leave them as they are.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe } from "vitest"
import * as Archive from "../src/Archive.ts"
import * as Cursor from "../src/Cursor.ts"
import { runStarted, type Payload } from "../src/RunEvent.ts"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import { archived, folder, journal, names, open, read, write, type Storage } from "./support/archives.ts"
import * as Histories from "./support/histories.ts"
import { ModelDisk } from "./support/modelDisk.ts"

// `npm test` asks for 10,000, `npm run histories` for 100,000.
const count = Math.ceil(Number(process.env["HISTORIES"] ?? 3_000) / 10)
const firstSeed = Number(process.env["SEED"] ?? 1)

describe(`an archive, over ${count} generated histories`, () => {
  it.live(
    "J11.1, J11.3: gives back the events, the gaps and the damage of the segments it was made of, from every mark",
    () =>
      Effect.gen(function* () {
        let lossy = 0
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          const history = yield* Histories.generate(seed)
          const { storage, files } = history.memory
          if (seed % 3 > 0) Histories.damage(history, seed)
          // Reserved and unused, as a mapped segment is.
          const last = history.paths.at(-1)
          const bytes = files.get(last ?? "")
          if (last !== undefined && bytes !== undefined && seed % 2 === 0) {
            const reserved = new Uint8Array(bytes.length + 5_000)
            reserved.set(bytes)
            files.set(last, reserved)
          }
          const before = yield* read(storage, new Map(), 1 + (seed % 97))
          const { segments } = yield* archived(storage)
          assert.strictEqual(segments, history.paths.length)
          assert.deepStrictEqual(yield* names(storage), ["archive.0.tla"])
          assert.deepStrictEqual(yield* read(storage, new Map(), 1 + (seed % 97)), before, `seed ${seed}`)
          if (before.losses.gapBytes > 0) lossy++
          // A lane goes on from any of its marks (J4.6).
          for (const [at, stop] of before.stops.entries()) {
            if (at % 5 > 0) continue
            const rest = yield* read(storage, new Map([stop]), 60_000)
            assert.deepStrictEqual(rest.said, before.said.slice(before.said.length - rest.said.length), `seed ${seed}`)
            assert.isTrue(rest.isDrained)
          }
        }
        assert.isAbove(lossy, count / 5)
      }),
    1_800_000
  )

  it.live(
    "J11.6: says what of it is damaged, and invents nothing",
    () =>
      Effect.gen(function* () {
        let refused = 0
        let torn = 0
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          const rng = Histories.random(seed)
          const { memory } = yield* Histories.generate(seed)
          const { storage, files } = memory
          const before = yield* read(storage)
          yield* archived(storage)
          const path = `${journal}/archive.0.tla`
          const bytes = files.get(path)?.slice() ?? new Uint8Array()
          for (let hits = 1 + rng.below(3); hits > 0; hits--) {
            const at = rng.below(bytes.length)
            const end = rng.next() < 0.5 ? at + 1 : at + rng.below(bytes.length)
            for (let i = at; i < Math.min(end, bytes.length); i++) bytes[i] = rng.below(256)
          }
          files.set(path, rng.next() < 0.2 ? bytes.slice(0, rng.below(bytes.length)) : bytes)
          const after = yield* Effect.exit(read(storage))
          if (Exit.isFailure(after)) {
            refused++
            continue
          }
          const { said, losses } = after.value
          const known = new Set(before.said)
          assert.deepStrictEqual(
            said.filter((event) => !known.has(event)),
            [],
            `seed ${seed}`
          )
          assert.deepStrictEqual(
            before.said.filter((event) => said.includes(event)),
            said,
            `seed ${seed}: out of order`
          )
          if (said.length === before.said.length) continue
          torn++
          assert.isAbove(losses.gapBytes + losses.damaged, 0, `seed ${seed}: lost in silence`)
        }
        assert.isAbove(torn, 0)
        assert.isAbove(refused, 0)
      }),
    1_800_000
  )
})

// ---- what happens while it is made ----

const local = { name: "local", plugin: "backend.local", version: "1", config: {} }
const started = runStarted(Histories.run, { time: 1, backends: [local] })
const finished: Payload = { _tag: "RunFinished", time: 2e9, status: "finished" }

const cursorOf = (backend: string, writers: ReadonlyArray<string>, closed: boolean): Cursor.Cursor => ({
  version: 1,
  run: Histories.run,
  backend,
  epoch: 0,
  pin: { route: null, processors: [] },
  remote: null,
  writers: Object.fromEntries(writers.map((writer) => [writer, { position: 99_999, index: 0 }])),
  counts: Cursor.noCounts,
  intents: [],
  closed
})

const first = "aaaaaaaaaaaaaaaa"
const second = "bbbbbbbbbbbbbbbb"

describe("while an archive is made", () => {
  it.live(
    "J11.4: a power cut at any operation leaves all segments, or the archive, or both, and the next try ends it",
    () =>
      Effect.gen(function* () {
        let cut = 0
        for (let seed = firstSeed; seed < firstSeed + Math.ceil(count / 10); seed++) {
          // The second archive takes the first one in.
          for (let failsAt = 1, isWhole = false; !isWhole; failsAt++) {
            const disk = new ModelDisk(Histories.random(seed * 1_000 + failsAt))
            const calm = disk.boot(Number.POSITIVE_INFINITY).storage
            yield* write(calm, first, [started, finished], 300)
            if (seed % 2 === 0) yield* archived(calm)
            yield* write(calm, second, [], 120)
            yield* calm.syncFolder(journal)
            const before = yield* read(calm)
            const life = disk.boot(failsAt)
            const fiber = yield* Effect.forkDetach(archived(life.storage), { startImmediately: true })
            for (let turn = 0; turn < 500 && !life.isOff() && fiber.pollUnsafe() === undefined; turn++)
              yield* Effect.yieldNow
            isWhole = fiber.pollUnsafe() !== undefined
            fiber.interruptUnsafe()
            disk.crash()
            const next = disk.boot(Number.POSITIVE_INFINITY).storage
            assert.deepStrictEqual(yield* read(next), before, `seed ${seed}, operation ${failsAt}`)
            yield* archived(next)
            assert.deepStrictEqual(yield* read(next), before, `seed ${seed}, operation ${failsAt}, again`)
            const left = yield* names(next)
            assert.match(left.join(), /^archive\.\d\.tla$/, `seed ${seed}, operation ${failsAt}`)
            if (!isWhole) cut++
          }
        }
        assert.isAbove(cut, 8 * Math.ceil(count / 10))
      }),
    1_800_000
  )

  it.live("J11.4: takes nothing away when the disk is full, and leaves nothing half done", () =>
    Effect.gen(function* () {
      const { storage } = makeMemory()
      yield* write(storage, first, [started, finished], 300)
      const before = yield* names(storage)
      const full: Storage = {
        ...storage,
        openAppend: (path) =>
          Effect.map(storage.openAppend(path), (file) => {
            let calls = 0
            return {
              ...file,
              append: (vectors) =>
                ++calls < 2
                  ? file.append(vectors)
                  : Effect.flip(Effect.flip(storage.read(`${journal}/x.lock`))).pipe(Effect.asVoid)
            }
          })
      }
      assert.strictEqual((yield* Effect.flip(archived(full))).code, "EPERM")
      assert.deepStrictEqual(yield* names(storage), before)
    })
  )

  it.live("J11.4: who reads it goes on, from segments that are gone to the archive", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { storage } = makeMemory()
        yield* write(storage, first, [started, finished], 300)
        const whole = yield* read(storage)
        for (let stop = 0; stop < 5; stop++) {
          const { storage: own, files } = makeMemory()
          yield* write(own, first, [started, finished], 300)
          const run = yield* open(own)
          yield* run.writersNow
          const reader = yield* run.reader(new Map(), { points: 60, bytes: 10_000 })
          const said: Array<string> = []
          for (let n = 0, batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
            said.push(...Histories.describe(batch.events))
            if (n++ === stop) yield* archived(own)
          }
          assert.deepStrictEqual(said, whole.said)
          assert.deepStrictEqual(
            [...files.keys()].filter((path) => path.endsWith(".tlj")),
            []
          )
        }
      })
    )
  )

  it.live("J11.1, J11.5: a writer that comes afterwards is read beside it, and the next archive takes it in", () =>
    Effect.gen(function* () {
      const { storage, files } = makeMemory()
      yield* write(storage, first, [started, finished], 300)
      files.set(`${journal}/${first}.lock`, new Uint8Array())
      const alone = yield* read(storage)
      yield* archived(storage)
      assert.deepStrictEqual(yield* names(storage), ["archive.0.tla"])
      yield* write(storage, second, [], 120)
      const both = yield* read(storage)
      assert.deepStrictEqual(
        both.writers.map(({ id }) => id),
        [first, second]
      )
      assert.strictEqual(both.said.length, alone.said.length + 120)
      const segments = (yield* names(storage)).length - 1
      assert.deepInclude(yield* archived(storage), { segments })
      assert.deepStrictEqual(yield* names(storage), ["archive.1.tla"])
      assert.deepStrictEqual(yield* read(storage), both)
      assert.deepInclude(yield* archived(storage), { segments: 0 })
    })
  )
})

describe("a run is archived", () => {
  const setUp = Effect.gen(function* () {
    const memory = makeMemory()
    yield* write(memory.storage, first, [started, finished], 20)
    const run = yield* open(memory.storage)
    return { memory, run, outcome: Effect.suspend(() => Archive.archive(run)) }
  })
  const notYet = (reason: string) => ({ _tag: "NotYet" as const, reason })

  it.live("J11.2: when every backend has closed it with all of its writers, and not before", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { memory, run, outcome } = yield* setUp
        assert.deepStrictEqual(yield* outcome, notYet("local has not confirmed all of it"))
        yield* run.saveCursor(cursorOf("local", [first], false), { sync: false })
        assert.deepStrictEqual(yield* outcome, notYet("local has not confirmed all of it"))
        yield* run.saveCursor(cursorOf("local", [first], true), { sync: false })
        // One that was added after it ran.
        yield* run.saveCursor(cursorOf("mlflow", [first], false), { sync: false })
        assert.deepStrictEqual(yield* outcome, notYet("mlflow has not confirmed all of it"))
        memory.files.set(`${folder}/cursors/mlflow.json`, new Uint8Array(3))
        assert.deepStrictEqual(yield* outcome, notYet("the cursor of mlflow is damaged"))
        yield* run.saveCursor(cursorOf("mlflow", [first], true), { sync: false })
        yield* write(memory.storage, second, [], 5)
        assert.deepStrictEqual(yield* outcome, notYet("local has not confirmed all of it"))
        for (const name of ["local", "mlflow"])
          yield* run.saveCursor(cursorOf(name, [first, second], true), { sync: false })
        assert.deepInclude(yield* outcome, { _tag: "Archived" })
        assert.deepStrictEqual(yield* outcome, { _tag: "Unchanged" })
      })
    )
  )

  it.live("J11.2: only when no writer of it lives", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { memory, run, outcome } = yield* setUp
        yield* run.saveCursor(cursorOf("local", [first], true), { sync: false })
        memory.locks.add(`${journal}/${first}.lock`)
        assert.deepStrictEqual(yield* outcome, notYet("it is still written to"))
        memory.locks.clear()
        assert.deepInclude(yield* outcome, { _tag: "Archived" })
      })
    )
  )

  it.live("J11.2: and who is in it is over, also where locks say nothing", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { memory, run } = yield* setUp
        yield* run.archive
        const elsewhere = makeMemory({ isLocal: false, host: { name: "b", boot: "two", pid: 2 } })
        memory.files.forEach((bytes, path) => elsewhere.files.set(path, bytes))
        const { writers, standing } = yield* read(elsewhere.storage)
        assert.deepStrictEqual(
          writers.map(({ life }) => life),
          ["over"]
        )
        assert.strictEqual(standing.status, "finished")
      })
    )
  )

  it.live("J11.2: not where no backend ever had it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { storage } = makeMemory()
        yield* write(storage, second, [], 5)
        const run = yield* open(storage)
        assert.deepStrictEqual(yield* Archive.archive(run), notYet("it names no backend, and none has confirmed it"))
      })
    )
  )
})
