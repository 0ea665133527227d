/**
 * Segments as the Python writer maps them: any of their pages may be lost with the power, and any byte of a record, in whichever order its
 * payload and checksum are stored before its length, may be the last that a process has stored. Read from the golden journals, which Python
 * wrote.
 */
import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { start } from "../src/Cursor.ts"
import { Collected, SegmentDecoder, type Stop } from "../src/internal/decoder.ts"
import { decodeHeader } from "../src/internal/segment.ts"

const golden = join(import.meta.dirname, "../../bridge-python/protocol/golden")
const writer = "00112233445566aa"
const load = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(golden, name, "journal", `${writer}.0.tlj`)))

interface Record {
  readonly from: number
  /** End of kind and payload; behind it is padding. */
  readonly end: number
  readonly to: number
  readonly kind: number
  /** The series it names or uses. */
  readonly series: number | undefined
}

/** Every record of an undamaged segment, read by hand. */
const walk = (bytes: Uint8Array): ReadonlyArray<Record> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const records: Array<Record> = []
  for (let at = view.getUint32(12, true); at + 12 <= bytes.length;) {
    const length = view.getUint32(at, true)
    if (length === 0) break
    const kind = view.getUint32(at + 8, true)
    const end = at + 8 + length
    const series =
      kind === 1
        ? view.getUint32(at + 12, true)
        : kind === 3
          ? JSON.parse(new TextDecoder().decode(bytes.subarray(at + 12, end))).series
          : undefined
    records.push({ from: at, end, to: at + 8 + Math.ceil(length / 8) * 8, kind, series })
    at = at + 8 + Math.ceil(length / 8) * 8
  }
  return records
}

/** File offsets of the records that carry an event, as the decoder finds them, and why it stopped. */
const read = (bytes: Uint8Array, final: boolean): readonly [ReadonlyArray<number>, Stop | "no header", Collected] => {
  const into = new Collected({ points: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER })
  const header = decodeHeader(bytes)
  if (header === undefined) return [[], "no header", into]
  const decoder = new SegmentDecoder(header)
  const rest = bytes.subarray(header.length)
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length)
  const stop = decoder.decode(rest, view, header.length, rest.length, { final, atEnd: true, from: start }, into)
  into.flush()
  const positions = into.events.flatMap((event) =>
    event._tag === "PointBatch" ? [...event.positions] : [event.position]
  )
  return [positions.map((position) => position - header.streamOffset + header.length), stop, into]
}

const carriesEvent = ({ kind }: Record): boolean => kind === 1 || kind >= 16

/** Bytes of a record that are stored one after the other. */
type Part = readonly [what: string, from: number, end: number]

describe("a mapped segment", () => {
  const page = 4_096

  it("J2.4, J4.3, J5.3: gives every record that is whole, with any subset of its pages zeroed", () => {
    const whole = load("several-segments")
    const records = walk(whole)
    const pages = whole.length / page
    assert.strictEqual(pages, 16)
    assert.isAbove(records.length, 1_000)
    const masks = records.map(({ from, end }) => {
      let mask = 0
      for (let p = Math.floor(from / page); p <= Math.floor((end - 1) / page); p++) mask |= 1 << p
      return mask
    })
    // All 65,536 subsets in the full run; every seventeenth else (an odd stride meets every page).
    const stride = Number(process.env["HISTORIES"] ?? 0) >= 10_000 ? 1 : 17
    const bytes = new Uint8Array(whole.length)
    for (let lost = 0; lost < 2 ** pages; lost += stride) {
      bytes.set(whole)
      for (let p = 0; p < pages; p++) if ((lost >> p) & 1) bytes.fill(0, p * page, (p + 1) * page)
      const named = new Set<number>()
      const expected: Array<number> = []
      for (const [i, record] of records.entries()) {
        if (((masks[i] ?? 0) & lost) !== 0 || (lost & 1) === 1) continue
        if (record.kind === 3 && record.series !== undefined) named.add(record.series)
        if (carriesEvent(record) && (record.series === undefined || named.has(record.series)))
          expected.push(record.from)
      }
      const [found, stop, { gapBytes, damaged }] = read(bytes, true)
      assert.strictEqual(stop, (lost & 1) === 1 ? "no header" : "end")
      assert.strictEqual(found.length, expected.length, `lost pages ${lost.toString(2)}`)
      assert.isTrue(
        found.every((from, k) => from === expected[k]),
        `lost pages ${lost.toString(2)}`
      )
      // Lost in the middle it is counted; at the end only the next segment can tell (J4.4).
      const lastGood = records.findLastIndex((_, i) => ((masks[i] ?? 0) & lost) === 0)
      const isHoled = records.some((_, i) => i < lastGood && ((masks[i] ?? 0) & lost) !== 0)
      if (stop === "end" && isHoled) assert.isAbove(gapBytes + damaged, 0, `lost pages ${lost.toString(2)}`)
    }
  }, 600_000)

  it.each(["basic", "special-values"])(
    "J3.2, J3.4, J4.1, J5.1: gives a record when its length is stored, and not before: %s",
    (name) => {
      const whole = load(name)
      for (const record of walk(whole)) {
        const before = walk(whole)
          .filter(({ from }) => from < record.from)
          .filter(carriesEvent)
          .map(({ from }) => from)
        const bytes = whole.slice()
        const expectWaiting = (state: string) => {
          for (const final of [false, true]) {
            const [found, stop] = read(bytes, final)
            assert.deepStrictEqual(found, before, `${state}, final ${final}`)
            assert.strictEqual(stop, final ? "end" : "wait", state)
          }
        }
        const payload: Part = ["payload", record.from + 8, record.end]
        const checksum: Part = ["checksum", record.from + 4, record.from + 8]
        for (const parts of [
          [payload, checksum],
          [checksum, payload]
        ]) {
          bytes.fill(0, record.from)
          expectWaiting("nothing stored")
          for (const [what, from, end] of parts) {
            for (let at = from; at < end; at++) {
              bytes[at] = whole[at] ?? 0
              if (what === "checksum" || at % 7 === 0 || at === end - 1) expectWaiting(`${what} up to ${at - from}`)
            }
          }
        }
        bytes.set(whole.subarray(record.from, record.from + 4), record.from)
        const [found] = read(bytes, false)
        assert.deepStrictEqual(found, carriesEvent(record) ? [...before, record.from] : before)
      }
    }
  )
})
