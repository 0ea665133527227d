import { assert, it } from "@effect/vitest"
import { describe } from "vitest"
import { encodeText } from "../src/internal/bytes.ts"
import { SeriesRecords } from "../src/internal/seriesRecords.ts"

describe("a writer's series records", () => {
  it("J5.3: give one object for a series, however many segments repeat it", () => {
    const records = new SeriesRecords()
    const json = `{"series":7,"name":"loss","context":{"rank":1}}`
    const first = records.decode(encodeText(json))
    assert.deepStrictEqual(first, { number: 7, series: { name: "loss", context: { rank: 1 } } })
    assert.strictEqual(records.decode(encodeText(json))?.series, first?.series)
  })

  it("J4.5: are damaged again each time they are", () => {
    const records = new SeriesRecords()
    for (const json of [`{"series":7}`, `{"series":7,"name":"loss",`, `[]`, ""]) {
      for (let i = 0; i < 2; i++) assert.isUndefined(records.decode(encodeText(json)), json)
    }
    assert.isUndefined(records.decode(Uint8Array.of(0x22, 0xff, 0x22)))
  })
})
