/** On the golden segments, which have what their writers reserved behind the last record. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { makeMemory } from "../src/internal/memoryStorage.ts"
import { giveBack } from "../src/internal/reservation.ts"

const writer = "00112233445566aa"
const goldens = join(import.meta.dirname, "../../bridge-python/protocol/golden")
const load = (name: string, number = 0): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(goldens, name, "journal", `${writer}.${number}.tlj`)))

/** What is left of a folder after its writer's reservation was given back. */
const after = (files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>, segments: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const memory = makeMemory()
    yield* memory.storage.makeFolder("/journal")
    for (const [name, bytes] of Object.entries(files)) yield* memory.storage.append(`/journal/${name}`, bytes)
    yield* giveBack(memory.storage, "/journal", { id: writer, isOver: true, segments })
    return new Map([...memory.files].map(([path, bytes]) => [path.replace("/journal/", ""), bytes]))
  })

const lastUsed = (bytes: Uint8Array): number => bytes.findLastIndex((byte) => byte !== 0) + 1

describe("what a writer reserved", () => {
  it.effect("J2.9: is cut off behind the last record, of the last segment alone", () =>
    Effect.gen(function* () {
      const [first, second] = [load("several-segments"), load("several-segments", 1)]
      const left = yield* after({ [`${writer}.0.tlj`]: first, [`${writer}.1.tlj`]: second }, [0, 1])
      assert.deepStrictEqual(left.get(`${writer}.0.tlj`), first)
      const cut = left.get(`${writer}.1.tlj`)
      assert.deepStrictEqual(cut, second.slice(0, Math.ceil(lastUsed(second) / 8) * 8))
      assert.isBelow(cut?.length ?? Infinity, second.length)
    })
  )

  it.effect("J2.9: stays where anything but zeros follows the records, or no header can be read", () =>
    Effect.gen(function* () {
      const spoilt = load("basic")
      spoilt[spoilt.length - 1] = 1
      const headless = load("basic")
      headless[20] = ~(headless[20] ?? 0)
      for (const bytes of [spoilt, headless, load("torn-tail"), load("foreign-bytes")]) {
        const left = yield* after({ [`${writer}.0.tlj`]: bytes }, [0])
        const cut = left.get(`${writer}.0.tlj`) ?? new Uint8Array()
        assert.isAtLeast(cut.length, lastUsed(bytes))
        assert.deepStrictEqual(cut, bytes.slice(0, cut.length))
      }
      assert.strictEqual((yield* after({ [`${writer}.0.tlj`]: spoilt }, [0])).get(`${writer}.0.tlj`)?.length, 65_536)
    })
  )

  it.effect("J2.9: is removed where it has no name yet; what is another's stays", () =>
    Effect.gen(function* () {
      const ready = `${writer}.1.tlj.0a1b2c3d.tmp`
      const others = [`${writer}.1.tlj.txt`, `ff${writer}.1.tlj.0a1b2c3d.tmp`, `${writer}.1.tlj.bak`]
      const files = Object.fromEntries([ready, ...others].map((name) => [name, Uint8Array.of(1)]))
      const left = yield* after({ [`${writer}.0.tlj`]: load("basic"), ...files }, [0])
      assert.deepStrictEqual([...left.keys()].toSorted(), [`${writer}.0.tlj`, ...others].toSorted())
    })
  )
})
