/**
 * A writer's *series* records, each decoded once however many segments repeat it (journal.md J5.3). With 100,000 series they are more than
 * half of what a segment holds. One object for each series also spares whoever keeps something for it the look-up by its name.
 */
import type { Series } from "../Series.ts"
import { decodeText } from "./bytes.ts"
import { seriesFromJson } from "./records.ts"

export interface NumberedSeries {
  readonly number: number
  readonly series: Series
}

export class SeriesRecords {
  /** By the text of the record: about 200 bytes each, which is less than the decoded series they spare. */
  private readonly byJson = new Map<string, NumberedSeries>()

  /** `undefined` when the record is damaged. */
  decode(payload: Uint8Array): NumberedSeries | undefined {
    const json = decodeText(payload)
    if (json === undefined) return undefined
    const known = this.byJson.get(json)
    if (known !== undefined) return known
    const record = seriesFromJson(parse(json))
    if (record === undefined) return undefined
    const decoded = { number: record.series, series: { name: record.name, context: record.context } }
    this.byJson.set(json, decoded)
    return decoded
  }
}

const parse = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
