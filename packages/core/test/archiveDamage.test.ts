/**
 * What is damaged of an archive costs the frames that it hits, and no other. Which those are is found by hand, in the undamaged bytes, with
 * journal.md beside it; in memory nothing is compressed, and each segment is one frame.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe } from "vitest"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import { archived, journal, names, read, write } from "./support/archives.ts"
import * as Histories from "./support/histories.ts"

const count = Math.ceil(Number(process.env["HISTORIES"] ?? 6_000) / 200)
const firstSeed = Number(process.env["SEED"] ?? 1)
const path = `${journal}/archive.0.tla`

interface Extent {
  /** File name of the segment, or `undefined` for an index. */
  readonly segment: string | undefined
  readonly content: number
  readonly size: number
  readonly from: number
  /** Without padding. */
  readonly to: number
}

const extentsOf = (bytes: Uint8Array): ReadonlyArray<Extent> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const extents: Array<Extent> = []
  for (let at = 0; at < bytes.length;) {
    const isPiece = view.getUint16(at + 10, true) === 2
    const to = at + view.getUint32(at + 12, true) + view.getUint32(at + 24, true)
    const segment = isPiece ? `${journal}/${Histories.writer}.${view.getUint32(at + 44, true)}.tlj` : undefined
    extents.push({
      segment,
      content: view.getUint32(at + 52, true),
      size: view.getUint32(at + 48, true),
      from: at,
      to
    })
    at = Math.ceil(to / 8) * 8
  }
  return extents
}

const setUp = (seed: number) =>
  Effect.gen(function* () {
    const history = yield* Histories.generate(seed)
    const before = yield* read(history.memory.storage)
    yield* archived(history.memory.storage)
    const bytes = history.memory.files.get(path)?.slice() ?? new Uint8Array()
    const extents = extentsOf(bytes)
    assert.strictEqual(extents.length, history.paths.length + 2)
    /** Reads `damaged`, of which those of the frames are as they were for which `isGood`. */
    const check = (damaged: Uint8Array, isGood: (extent: Extent) => boolean, what: string) =>
      Effect.gen(function* () {
        history.memory.files.set(path, damaged.slice())
        const found = yield* Effect.exit(read(history.memory.storage))
        const good = extents.filter(isGood)
        if (good.length === 0) {
          assert.isTrue(Exit.isFailure(found), what)
          return "nothing"
        }
        if (Exit.isFailure(found)) throw new Error(what)
        const { losses, said } = found.value
        const kept = new Set(good.map(({ segment }) => segment))
        const wanted = history.extents.filter((record) => kept.has(record.path)).flatMap(({ events }) => events)
        assert.deepStrictEqual(said, wanted, what)
        const gone = extents.filter((extent) => extent.segment !== undefined && !isGood(extent))
        const lost = gone.reduce((sum, { content }) => sum + content, 0)
        if (good.some(({ segment }) => segment === undefined)) {
          assert.isAtLeast(losses.gapBytes, lost, what)
          const most = gone.reduce((sum, { size }) => sum + size, 0)
          assert.isAtMost(losses.gapBytes, most, what)
        } else assert.isAbove(losses.gapBytes, 0, what)
        return gone.length === 0 ? "whole" : "some"
      })
    return { before, bytes, check, history }
  })

const outcomes = () => {
  const counts = { nothing: 0, whole: 0, some: 0 }
  return { counts, add: (outcome: "nothing" | "whole" | "some") => counts[outcome]++ }
}

describe(`a damaged archive, over ${count} generated histories`, () => {
  it.live(
    "J11.6, J11.8: gives all of its good frames when it is cut anywhere",
    () =>
      Effect.gen(function* () {
        const { add, counts } = outcomes()
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          const { bytes, check } = yield* setUp(seed)
          for (let end = 0; end < bytes.length; end += 512) {
            add(yield* check(bytes.subarray(0, end), ({ to }) => to <= end, `seed ${seed}, cut at ${end}`))
          }
        }
        assert.isAbove(counts.nothing, 0)
        assert.isAbove(counts.some, count)
      }),
    600_000
  )

  it.live(
    "J11.8: gives all of its good frames when bytes are inserted or missing anywhere",
    () =>
      Effect.gen(function* () {
        const { add, counts } = outcomes()
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          const { bytes, check } = yield* setUp(seed)
          const rng = Histories.random(seed)
          for (let n = 0; n < 20; n++) {
            const at = rng.below(bytes.length + 1)
            const length = n % 2 === 0 ? 8 : 1 + rng.below(5_000)
            const more = new Uint8Array(bytes.length + length)
            more.set(bytes.subarray(0, at))
            for (let i = 0; i < length; i++) more[at + i] = rng.below(256)
            more.set(bytes.subarray(at), at + length)
            add(yield* check(more, ({ from, to }) => to <= at || from >= at, `seed ${seed}, ${length} more at ${at}`))
            const end = Math.min(bytes.length, at + length)
            const less = new Uint8Array(bytes.length - (end - at))
            less.set(bytes.subarray(0, at))
            less.set(bytes.subarray(end), at)
            const isGood = ({ from, to }: Extent) => to <= at || from >= end
            add(yield* check(less, isGood, `seed ${seed}, ${end - at} less at ${at}`))
          }
        }
        assert.isAbove(counts.whole, 0)
        assert.isAbove(counts.some, 10 * count)
      }),
    600_000
  )

  it.live(
    "J11.8: gives all of its good frames when any page is zeros",
    () =>
      Effect.gen(function* () {
        const { add, counts } = outcomes()
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          const { bytes, check } = yield* setUp(seed)
          for (let page = 0; page < bytes.length; page += 4_096) {
            const damaged = bytes.slice().fill(0, page, page + 4_096)
            const isGood = ({ from, to }: Extent) => {
              for (let i = from; i < to; i++) if (damaged[i] !== bytes[i]) return false
              return true
            }
            add(yield* check(damaged, isGood, `seed ${seed}, page at ${page}`))
          }
        }
        assert.isAbove(counts.some, count)
      }),
    600_000
  )

  it.live("J11.8: takes no frame of another archive that lies in one of its own", () =>
    Effect.gen(function* () {
      const { bytes: inner } = yield* setUp(firstSeed)
      const { bytes, check, before } = yield* setUp(firstSeed + 1)
      assert.isAbove(before.said.length, 0)
      const [, piece] = extentsOf(bytes)
      if (piece === undefined) throw new Error("no frame")
      // In the body of a frame, which is no longer what it was, and of the same run.
      const damaged = new Uint8Array(bytes.length + inner.length)
      const at = piece.to - 8
      damaged.set(bytes.subarray(0, at))
      damaged.set(inner, at)
      damaged.set(bytes.subarray(at), at + inner.length)
      assert.strictEqual(yield* check(damaged, (extent) => extent !== piece && extent.from !== piece.from, ""), "some")
    })
  )
})

describe("beside segments, an archive", () => {
  const garbage = new Uint8Array(5_000).fill(7)
  const other = "bbbbbbbbbbbbbbbb"

  it.live("J11.9: of which nothing can be read hides none of them, and stays when they are archived anew", () =>
    Effect.gen(function* () {
      for (let seed = firstSeed; seed < firstSeed + count; seed++) {
        const { memory } = yield* Histories.generate(seed)
        const before = yield* read(memory.storage)
        memory.files.set(path, garbage)
        assert.deepStrictEqual(yield* read(memory.storage), before)
        yield* archived(memory.storage)
        assert.deepStrictEqual(yield* names(memory.storage), ["archive.0.tla.damaged", "archive.1.tla"])
        assert.deepStrictEqual(memory.files.get(`${path}.damaged`), garbage)
        assert.deepStrictEqual(yield* read(memory.storage), before)
      }
    })
  )

  it.live("J11.9: that is damaged hides none of them, and no segment goes that is not whole in it", () =>
    Effect.gen(function* () {
      for (let seed = firstSeed; seed < firstSeed + count; seed++) {
        const rng = Histories.random(seed)
        const { memory } = yield* Histories.generate(seed)
        const own = new Map(memory.files)
        const before = yield* read(memory.storage)
        yield* archived(memory.storage)
        const bytes = memory.files.get(path)?.slice() ?? new Uint8Array()
        bytes[rng.below(bytes.length)] = rng.below(256)
        memory.files.set(path, rng.next() < 0.5 ? bytes : bytes.subarray(0, rng.below(bytes.length)))
        own.forEach((segment, name) => memory.files.set(name, segment))
        assert.deepStrictEqual((yield* read(memory.storage)).said, before.said)
        yield* archived(memory.storage)
        assert.match((yield* names(memory.storage)).join(), /^archive\.\d\.tla(\.damaged,archive\.\d\.tla)?$/)
        assert.deepStrictEqual((yield* read(memory.storage)).said, before.said)
      }
    })
  )

  it.live("J11.1: of which nothing can be read leaves an older one that can be, with what lies beside that", () =>
    Effect.gen(function* () {
      const { memory } = yield* Histories.generate(firstSeed)
      yield* archived(memory.storage)
      yield* write(memory.storage, other, [], 60, "observer")
      const before = yield* read(memory.storage)
      memory.files.set(`${journal}/archive.1.tla`, garbage)
      assert.deepStrictEqual(yield* read(memory.storage), before)
      yield* archived(memory.storage)
      assert.deepStrictEqual(yield* names(memory.storage), ["archive.1.tla.damaged", "archive.2.tla"])
      assert.deepStrictEqual(yield* read(memory.storage), before)
    })
  )

  it.live(
    "J11.9: of which nothing can be read is a gap when they are not all of the run, now and in the next one",
    () =>
      Effect.gen(function* () {
        const { memory } = yield* Histories.generate(firstSeed)
        yield* archived(memory.storage)
        // A change of a run that is over.
        yield* write(memory.storage, other, [], 60, "observer")
        memory.files.set(path, garbage)
        const found = yield* read(memory.storage)
        assert.strictEqual(found.said.length, 60)
        assert.strictEqual(found.losses.gapBytes, garbage.length)
        yield* archived(memory.storage)
        assert.deepStrictEqual(yield* read(memory.storage), found)
        // Who goes on has counted it.
        const rest = yield* read(memory.storage, new Map(found.stops.slice(-1)))
        assert.strictEqual(rest.losses.gapBytes, 0)
      })
  )

  it.live("J11.9: of which nothing can be read is an error where there are none", () =>
    Effect.gen(function* () {
      const { storage, files } = makeMemory()
      yield* storage.makeFolder(journal)
      files.set(path, garbage)
      assert.strictEqual((yield* Effect.flip(read(storage))).code, "EDAMAGED")
    })
  )
})
