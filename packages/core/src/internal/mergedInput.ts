/**
 * What a stateful processor takes in, in an order that does not depend on how the writers' journals were read (journal.md J13.6): the point
 * that was captured first comes first, of equal times the one of the writer whose id sorts first, and within a writer its order. So nothing
 * of a writer is taken in while another, of which something was taken in before, may still give something older.
 *
 * With one writer that is its own order, and nothing waits.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Cursor from "../Cursor.ts"
import type { StorageError } from "../JournalStorage.ts"
import { select, slice, type Consumed, type PointBatch } from "../RunEvent.ts"
import type { RunJournal, Writer } from "../RunJournal.ts"
import type { Series } from "../Series.ts"
import type { Input } from "../StatefulProcessor.ts"
import type { Limits } from "./decoder.ts"
import type { Follower } from "./reader.ts"

/** How much of a writer is read ahead of the others. */
const limits: Limits = { points: 4_096, bytes: 1024 * 1024 }

/**
 * While somebody writes, points younger than this wait: a writer that has just begun is seen within about a second, and then takes its place
 * in the order by what it captured first. In seconds.
 */
const settleSeconds = 2

/** One writer, and what of it was read and not taken in. */
interface Source {
  readonly id: string
  readonly follower: Follower
  phase: Consumed["phase"]
  /** Taken by the processor, in order; the next point is the first piece's at `index`. */
  readonly pieces: Array<PointBatch>
  index: number
  isDrained: boolean
}

export class MergedInput {
  private readonly run: RunJournal
  private readonly takes: (points: PointBatch) => PointBatch
  private readonly scope: Scope.Scope
  private readonly from: { readonly [writer: string]: Consumed }
  private readonly sources = new Map<string, Source>()
  private hasEnded = false

  /** Begins where `from` says. Files are open until the scope closes. */
  constructor(
    run: RunJournal,
    takes: (series: Series) => boolean,
    from: { readonly [writer: string]: Consumed },
    scope: Scope.Scope
  ) {
    this.run = run
    this.takes = selector(takes)
    this.from = from
    this.scope = scope
  }

  /** How far it was taken in. */
  get consumed(): { readonly [writer: string]: Consumed } {
    const entries = [...this.sources.values()].map((source): [string, Consumed] => {
      const piece = source.pieces[0]
      const mark =
        piece === undefined
          ? source.follower.mark()
          : { position: piece.positions[source.index] ?? 0, index: piece.indices[source.index] ?? 0 }
      return [source.id, { ...mark, phase: source.phase }]
    })
    return { ...this.from, ...Object.fromEntries(entries) }
  }

  /** True when `Ended` was the last that came, and nothing was found since. */
  get isEnded(): boolean {
    return this.hasEnded
  }

  /** What comes next, of these writers, in order; empty when that cannot be known yet. `now` is in seconds. */
  next(writers: ReadonlyArray<Writer>, now: number): Effect.Effect<ReadonlyArray<Input>, StorageError> {
    return Effect.gen({ self: this }, function* () {
      // All of them are looked at before anything is decided: a silent one may have spoken.
      for (const writer of writers) yield* this.look(writer)
      const sources = writers.flatMap(({ id }) => this.sources.get(id) ?? [])
      const inputs: Array<Input> = []
      for (const source of sources) {
        if (source.phase === "ended" || !source.isDrained || source.pieces.length > 0) continue
        if (source.phase === "joined") inputs.push({ _tag: "WriterEnded", writer: source.id })
        source.phase = "ended"
        this.hasEnded = false
      }
      const waits = sources.some(({ phase, pieces }) => phase === "joined" && pieces.length === 0)
      const isOver = sources.length === 1 || writers.every((writer) => writer.isOver)
      const until = isOver ? Number.POSITIVE_INFINITY : now - settleSeconds
      for (let hasMore = !waits; hasMore;) {
        const source = oldest(sources, until)
        if (source === undefined) break
        inputs.push(source)
        this.hasEnded = false
        // What comes behind its last point is to be looked at first: more of it, or its end.
        hasMore = this.sources.get(source.writer)?.pieces.length !== 0
      }
      if (inputs.length > 0 || this.hasEnded || sources.length === 0) return inputs
      if (!sources.every(({ phase }) => phase === "ended")) return inputs
      this.hasEnded = true
      return [{ _tag: "Ended" }]
    })
  }

  /** Reads on until there is a point to take in, or nothing more now. */
  private look(writer: Writer): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const source = this.sources.get(writer.id) ?? (yield* this.meet(writer.id))
      if (source.phase === "ended") return
      while (source.pieces.length === 0 && !source.isDrained) {
        const [batch, progress] = yield* source.follower.take(writer)
        for (const event of batch?.events ?? []) {
          const points = event._tag === "PointBatch" ? this.takes(event) : undefined
          if (points !== undefined && points.count > 0) source.pieces.push(points)
        }
        source.isDrained = batch === undefined && progress === "drained"
        if (batch === undefined) return
      }
    })
  }

  private meet(id: string): Effect.Effect<Source> {
    const from = this.from[id] ?? { ...Cursor.start, phase: "silent" as const }
    return this.run.follow(id, { position: from.position, index: from.index }, limits).pipe(
      Effect.provideService(Scope.Scope, this.scope),
      Effect.map((follower) => {
        const source: Source = { id, follower, phase: from.phase, pieces: [], index: 0, isDrained: false }
        this.sources.set(id, source)
        return source
      })
    )
  }
}

/** Takes the points of one writer that come before all others', up to time `until`. */
const oldest = (sources: ReadonlyArray<Source>, until: number): Extract<Input, { _tag: "Points" }> | undefined => {
  let first: Source | undefined
  let second: Source | undefined
  for (const source of sources) {
    if (source.pieces.length === 0) continue
    if (first === undefined || headTime(source) < headTime(first)) [first, second] = [source, first]
    else if (second === undefined || headTime(source) < headTime(second)) second = source
  }
  const piece = first?.pieces[0]
  if (first === undefined || piece === undefined) return undefined
  const limit = second === undefined ? Number.POSITIVE_INFINITY : headTime(second)
  const winsTie = second === undefined || first.id < second.id
  let end = first.index
  for (; end < piece.count; end++) {
    const time = timeAt(piece, end)
    if (time > until || time > limit || (time === limit && !winsTie)) break
  }
  if (end === first.index) return undefined
  const points = first.index === 0 && end === piece.count ? piece : slice(piece, first.index, end)
  first.phase = "joined"
  first.index = end
  if (end === piece.count) {
    first.pieces.shift()
    first.index = 0
  }
  return { _tag: "Points", writer: first.id, points }
}

/** A time that is none comes first. */
const timeAt = (points: PointBatch, index: number): number => {
  const time = points.times[index] ?? NaN
  return Number.isNaN(time) ? Number.NEGATIVE_INFINITY : time
}

const headTime = ({ pieces, index }: Source): number => {
  const piece = pieces[0]
  return piece === undefined ? Number.POSITIVE_INFINITY : timeAt(piece, index)
}

/** The points whose series `takes` accepts; each series is asked for once. */
export const selector = (takes: (series: Series) => boolean): ((points: PointBatch) => PointBatch) => {
  const known = new WeakMap<Series, boolean>()
  const isTaken = (series: Series | undefined): boolean => {
    if (series === undefined) return false
    const answer = known.get(series) ?? takes(series)
    known.set(series, answer)
    return answer
  }
  return (points) => select(points, (i) => isTaken(points.table.get(points.series[i] ?? -1)))
}
