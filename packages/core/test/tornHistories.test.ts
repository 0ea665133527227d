import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { describe } from "vitest"
import type { RunEvent } from "../src/RunEvent.ts"
import { RunJournal } from "../src/RunJournal.ts"
import { Chunk } from "../src/internal/writerTail.ts"
import * as Histories from "./support/histories.ts"

// `npm test` asks for 10,000, `npm run histories` for 100,000.
const count = Number(process.env["HISTORIES"] ?? 600)
/** Of a living writer's, which take longer. */
const living = Math.ceil(count / 4)
const firstSeed = Number(process.env["SEED"] ?? 1)

const open = (history: Histories.History) =>
  Effect.map(Effect.scope, (scope: Scope.Scope) => {
    const shared = {
      storage: history.memory.storage,
      runFolder: () => `memory/runs/${Histories.run}`,
      chunk: new Chunk(),
      reading: Semaphore.makeUnsafe(1)
    }
    return new RunJournal(shared, Histories.run, scope)
  })

describe(`a reader, over ${count + living} generated histories`, () => {
  it.live(
    "J4.3, J4.4: delivers every good record of a dead writer's damaged journal, in order, and invents none",
    () =>
      Effect.gen(function* () {
        let torn = 0
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          const history = yield* Histories.generate(seed)
          const undamaged = { ...history, memory: { ...history.memory, files: new Map(history.memory.files) } }
          const damages = Histories.damage(history, seed)
          if (damages.length > 0) torn++
          const expected = Histories.survivors(undamaged, damages)
          const run = yield* open(history)
          const reader = yield* run.reader(new Map(), { points: 1 + (seed % 700), bytes: 10_000 })
          yield* run.writersNow
          const events: Array<RunEvent> = []
          for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next)
            events.push(...batch.events)
          assert.deepStrictEqual(Histories.describe(events), expected, `seed ${seed}`)
          // Nothing is lost in silence but an end of which nothing is left but zeros: no later segment tells of it (J4.4).
          const { gapBytes, damaged } = reader.losses()
          const found = new Set(expected)
          const last = history.paths.at(-1) ?? ""
          for (const extent of history.extents) {
            if (gapBytes + damaged > 0 || extent.events.every((event) => found.has(event))) continue
            assert.strictEqual(extent.path, last, `seed ${seed}: lost in silence`)
            const rest = history.memory.files.get(last)?.subarray(extent.from) ?? new Uint8Array()
            assert.isTrue(
              rest.every((byte) => byte === 0),
              `seed ${seed}: lost in silence`
            )
          }
        }
        assert.isAtLeast(torn, Math.floor(count / 2))
      }).pipe(Effect.scoped),
    1_800_000
  )

  it.live(
    "J4.1: follows a living writer whose bytes arrive in any pieces, and delivers each record once",
    () =>
      Effect.gen(function* () {
        for (let seed = firstSeed; seed < firstSeed + living; seed++) {
          const rng = Histories.random(seed)
          const history = yield* Histories.generate(seed)
          const whole = new Map(history.memory.files)
          const lock = `memory/runs/${Histories.run}/journal/${Histories.writer}.lock`
          history.memory.files.clear()
          history.memory.files.set(lock, new Uint8Array())
          history.memory.locks.add(lock)
          const run = yield* open(history)
          let reader = yield* run.reader(new Map(), { points: 1 + (seed % 500), bytes: 5_000 })
          const events: Array<RunEvent> = []
          const marks = new Map<string, { readonly position: number; readonly index: number }>()
          const drain = Effect.gen(function* () {
            for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
              events.push(...batch.events)
              marks.set(batch.writer, batch.to)
            }
          })
          for (const path of history.paths) {
            const bytes = whole.get(path) ?? new Uint8Array()
            for (let end = 0; end < bytes.length;) {
              end = Math.min(bytes.length, end + 1 + rng.below(8_000))
              // Reserved and still zero behind what is written, as a mapped segment is.
              const seen = new Uint8Array(rng.next() < 0.5 ? bytes.length : end)
              seen.set(bytes.subarray(0, end))
              history.memory.files.set(path, seen)
              yield* drain
              assert.isFalse(reader.isDrained(), `seed ${seed}`)
              // A delivery that begins anew goes on from its marks (J4.6).
              if (rng.next() < 0.2)
                reader = yield* run.reader(new Map(marks), { points: 1 + rng.below(900), bytes: 5_000 })
            }
          }
          history.memory.locks.delete(lock)
          yield* run.writersNow
          yield* drain
          assert.isTrue(reader.isDrained(), `seed ${seed}`)
          assert.deepStrictEqual(
            Histories.describe(events),
            history.extents.flatMap((extent) => extent.events),
            `seed ${seed}`
          )
          assert.deepStrictEqual(reader.losses(), { gapBytes: 0, unknown: 0, damaged: 0 }, `seed ${seed}`)
        }
      }).pipe(Effect.scoped),
    1_800_000
  )
})
