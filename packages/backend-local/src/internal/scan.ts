/**
 * The points of one series in the order logged, in blocks, whatever they are kept in: chunks and tail, one writer or several. A generator
 * reads on only when it is asked, 64 chunks at a time; let it run within one transaction.
 */
import type { Columns } from "../LocalReader.ts"
import { copyPoint, makeColumns, readChunk, type TailColumns } from "./bytes.ts"
import { readTailOf } from "./compact.ts"
import { asNumber, type Connection } from "./Connection.ts"
import { chunkKey } from "./keys.ts"

/** Both inclusive. */
export interface StepRange {
  readonly fromStep: number
  readonly toStep: number
}

const everyStep: StepRange = { fromStep: -Infinity, toStep: Infinity }

/** Chunks of one query. */
const pageChunks = 64
/** Points of one merged block. */
const blockPoints = 512

/** No block is empty. A series that is not of this run has none. */
export function* scan(connection: Connection, run: number, series: number, range: StepRange): Generator<Columns> {
  const streams = connection
    .prepare(
      `SELECT stream FROM stream JOIN series USING (series) WHERE series.run = ? AND series.series = ? ORDER BY stream.writer`
    )
    .all(run, series)
    .map((row) => asNumber(row["stream"]))
  const tail = streams.length === 0 ? [] : readTailOf(connection, run)
  const [only] = streams
  if (only !== undefined && streams.length === 1) {
    yield* scanStream(connection, only, tail, range)
    return
  }
  // Chosen after the merge: where a writer's clock was set back, a point left out would change where the next ones go.
  for (const block of mergeByTime(streams.map((stream) => scanStream(connection, stream, tail, everyStep)))) {
    const kept = select(block, (i) => isWithin(block.steps[i] ?? 0, range))
    if (kept.count > 0) yield kept
  }
}

function* scanStream(
  connection: Connection,
  stream: number,
  tail: ReadonlyArray<TailColumns>,
  range: StepRange
): Generator<Columns> {
  const isWhole = range.fromStep === -Infinity && range.toStep === Infinity
  const page = connection.prepare(
    `SELECT chunk, step_min, step_max, columns, checksum FROM chunk
     WHERE chunk >= ? AND chunk < ? AND step_max >= ? AND step_min <= ? ORDER BY chunk LIMIT ${pageChunks}`
  )
  const end = chunkKey(stream + 1, 0)
  for (let next = chunkKey(stream, 0); ;) {
    const rows = page.all(next, end, range.fromStep, range.toStep)
    for (const row of rows) {
      const block = readChunk(row)
      const isInside = asNumber(row["step_min"]) >= range.fromStep && asNumber(row["step_max"]) <= range.toStep
      const kept = isInside ? block : select(block, (i) => isWithin(block.steps[i] ?? 0, range))
      if (kept.count > 0) yield kept
    }
    if (rows.length < pageChunks) break
    next = asNumber(rows.at(-1)?.["chunk"]) + 1
  }
  for (const block of tail) {
    const kept = select(block, (i) => block.streams[i] === stream && (isWhole || isWithin(block.steps[i] ?? 0, range)))
    if (kept.count > 0) yield kept
  }
}

const isWithin = (step: number, range: StepRange): boolean => step >= range.fromStep && step <= range.toStep

const select = (block: Columns, keep: (index: number) => boolean): Columns => {
  let count = 0
  for (let i = 0; i < block.count; i++) if (keep(i)) count++
  if (count === block.count) return block
  const kept = makeColumns(count)
  let at = 0
  for (let i = 0; i < block.count; i++) {
    if (keep(i)) copyPoint(kept, at++, block, i)
  }
  return kept
}

/** Of the sources' next points always the earliest, of equally early ones that of the first source: each source keeps its order. */
function* mergeByTime(sources: ReadonlyArray<Iterator<Columns>>): Generator<Columns> {
  const heads: Array<{ readonly source: Iterator<Columns>; block: Columns; at: number }> = []
  for (const source of sources) {
    const { done, value } = source.next()
    if (done !== true) heads.push({ source, block: value, at: 0 })
  }
  let merged = makeColumns(blockPoints)
  let filled = 0
  while (heads.length > 0) {
    let first = 0
    let earliest = Infinity
    heads.forEach(({ at, block }, index) => {
      const time = block.times[at] ?? 0
      if (time < earliest) {
        earliest = time
        first = index
      }
    })
    const head = heads[first]
    if (head === undefined) break
    copyPoint(merged, filled++, head.block, head.at++)
    if (filled === blockPoints) {
      yield merged
      merged = makeColumns(blockPoints)
      filled = 0
    }
    if (head.at === head.block.count) {
      const { done, value } = head.source.next()
      if (done === true) heads.splice(first, 1)
      else Object.assign(head, { block: value, at: 0 })
    }
  }
  if (filled > 0) yield select(merged, (i) => i < filled)
}
