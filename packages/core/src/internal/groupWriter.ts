/**
 * The in-process writer: events are put into columns at once and encoded when their group is committed (journal.md §9, J9.3). Everything here
 * but `commit` is synchronous; `Journal` decides when to commit.
 */
import * as Effect from "effect/Effect"
import { columnsMax } from "../Point.ts"
import type { AppendFile, JournalStorage, StorageError } from "../JournalStorage.ts"
import type { Payload } from "../RunEvent.ts"
import * as SeriesContext from "../SeriesContext.ts"
import { Blobs } from "./blobs.ts"
import { align8, encodeText, setInt64 } from "./bytes.ts"
import { crc32, recordSeed } from "./crc32.ts"
import * as Json from "./json.ts"
import {
  isCounted,
  kind,
  kindOfTag,
  payloadLengthMax,
  pointsLength,
  prefixLength,
  recordLengthMax,
  spill
} from "./records.ts"
import { encodeHeader, fileName, segmentLengthMax, type Identity, type Role } from "./segment.ts"

/** Points under way: 28 bytes each once they are written. */
interface Block {
  count: number
  readonly series: Uint32Array
  readonly steps: Float64Array
  readonly values: Float64Array
  readonly times: Float64Array
}

/** A series of this writer. */
export interface SeriesEntry {
  readonly number: number
  /** JSON payload of its record. */
  readonly payload: Uint8Array
  /** Greatest step so far; −1 before the first, so that the first default step is 0. */
  greatestStep: number
  /** Number of the last segment that has its record (J5.3). */
  definedIn: number
}

/** So many contexts of a name are compared one by one, which is faster than to make a key. */
const fewContexts = 8

interface Segment {
  readonly number: number
  readonly salt: number
  readonly streamOffset: number
  readonly headerLength: number
  /** Bytes of the file once all that was encoded is written. */
  length: number
  readonly path: string
  file: OpenedFile | undefined
}

/** A segment's file, and how to let go of it. */
interface OpenedFile extends AppendFile {
  readonly close: Effect.Effect<void>
}

/** Bytes for one segment, encoded and not yet known to be written. Their positions are fixed: they are tried again as they are. */
interface Encoded {
  readonly segment: Segment
  readonly vectors: Array<Uint8Array>
  /** Events in them (J7.8). */
  events: number
}

type Item =
  | { readonly _tag: "Block"; readonly block: Block }
  | { readonly _tag: "Record"; readonly kind: number; readonly payload: Uint8Array }

export interface GroupWriterOptions {
  readonly storage: JournalStorage["Service"]
  /** The run's folder. */
  readonly runFolder: string
  /** Where the segments go; the run's `journal` when it is left out. */
  readonly folder?: string
  /** Number and stream offset of the first segment, and where the records of the one before it ended, where there are older ones. */
  readonly first?: { readonly number: number; readonly streamOffset: number; readonly ended: number }
  readonly role: Role
  readonly identity: Identity
  /** Where a segment ends and the next begins; `segmentLengthMax` unless a test wants many. */
  readonly segmentLength?: number
  /** 32 random bits, new at each call. */
  readonly salt: () => number
  readonly open: (path: string) => Effect.Effect<OpenedFile, StorageError>
}

export class GroupWriter {
  /** About how many bytes wait to be written. */
  pendingBytes = 0
  /** Events that were written (J7.8). */
  writtenEvents = 0
  private readonly options: GroupWriterOptions
  private readonly folder: string
  private readonly blobs: Blobs
  private readonly segmentLength: number
  private items: Array<Item> = []
  private block: Block | undefined
  private readonly plain = new Map<string, SeriesEntry>()
  private readonly inContext = new Map<string, SeriesEntry>()
  private readonly few = new Map<
    string,
    ReadonlyArray<{ readonly context: SeriesContext.SeriesContext; readonly entry: SeriesEntry }>
  >()
  private readonly entries: Array<SeriesEntry> = []
  /** Taken from `items` by a commit and not yet encoded: a blob could not be written. */
  private readonly encoding: Array<Item> = []
  private readonly encoded: Array<Encoded> = []
  private segment: Segment | undefined
  private readonly unsynced = new Set<Segment>()
  private folderIsUnsynced = false

  constructor(options: GroupWriterOptions) {
    this.options = options
    this.blobs = new Blobs(options.storage, options.runFolder)
    this.segmentLength = options.segmentLength ?? segmentLengthMax
    this.folder = options.folder ?? options.storage.join(options.runFolder, "journal")
  }

  /** Position behind all that was encoded. */
  get end(): number {
    const { segment } = this
    return segment === undefined
      ? (this.options.first?.streamOffset ?? 0)
      : segment.streamOffset + segment.length - segment.headerLength
  }

  /** The series, when it is one of those that are found quickly: without a context, or in one of the first few contexts of its name. */
  series(name: string, context: SeriesContext.SeriesContext | undefined): SeriesEntry | undefined {
    if (context === undefined) return this.plain.get(name)
    return this.few.get(name)?.find((known) => SeriesContext.isSame(known.context, context))?.entry
  }

  /** The series of that name in that context, made when it is new. The name and the context are legal. */
  define(name: string, context: SeriesContext.SeriesContext): SeriesEntry {
    const contextKey = SeriesContext.toKey(context)
    const [map, key] = contextKey === "{}" ? [this.plain, name] : [this.inContext, `${name}\u0000${contextKey}`]
    const known = map.get(key)
    if (known !== undefined) return known
    const number = this.entries.length
    const payload = encodeText(JSON.stringify({ series: number, name, context }))
    const entry: SeriesEntry = { number, payload, greatestStep: -1, definedIn: -1 }
    map.set(key, entry)
    const few = this.few.get(name) ?? []
    if (few.length < fewContexts) this.few.set(name, [...few, { context, entry }])
    this.entries.push(entry)
    return entry
  }

  /** Step is a safe integer; time is in seconds. */
  point(entry: SeriesEntry, step: number, value: number, time: number): void {
    let block = this.block
    if (block === undefined || block.count === columnsMax) block = this.newBlock()
    const i = block.count++
    block.series[i] = entry.number
    block.steps[i] = step
    block.values[i] = value
    block.times[i] = time
    if (step > entry.greatestStep) entry.greatestStep = step
    this.pendingBytes += 28
  }

  /** Anything but a point. False when it has no JSON form, or one that is too long. */
  event(event: Payload): boolean {
    const { _tag, ...fields } = event
    const json = Json.stringify(fields)
    if (json === undefined || json.length > payloadLengthMax) return false
    const payload = encodeText(json)
    this.block = undefined
    this.items.push({ _tag: "Record", kind: kindOfTag(_tag), payload })
    this.pendingBytes += payload.length + 16
    return true
  }

  /** Writes all that waits. When it fails, nothing is forgotten: the next call tries the same bytes again. */
  get commit(): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      this.encoding.push(...this.items)
      this.items = []
      this.block = undefined
      for (let item = this.encoding[0]; item !== undefined; item = this.encoding[0]) {
        yield* this.encode(item)
        this.encoding.shift()
      }
      this.seal()
      for (let next = this.encoded[0]; next !== undefined; next = this.encoded[0]) {
        const file = (next.segment.file ??= yield* this.options.open(next.segment.path))
        yield* file.append(next.vectors)
        this.unsynced.add(next.segment)
        this.writtenEvents += next.events
        this.encoded.shift()
      }
      this.pendingBytes = this.waiting()
    })
  }

  /** Returns when all that was committed survives a power cut. */
  get sync(): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      for (const segment of Array.from(this.unsynced)) {
        const { file } = segment
        this.unsynced.delete(segment)
        if (file === undefined) continue
        yield* Effect.onError(file.sync, () => Effect.sync(() => this.unsynced.add(segment)))
        // What is behind the current segment is complete.
        if (segment !== this.segment) yield* file.close
      }
      if (this.folderIsUnsynced) {
        yield* this.options.storage.syncFolder(this.folder)
        this.folderIsUnsynced = false
      }
    })
  }

  /** Has the next `sync` look at the current segment, though nothing was written to it since the last one. */
  touch(): void {
    if (this.segment?.file !== undefined) this.unsynced.add(this.segment)
  }

  /** Events that are not known to be written (J7.8). */
  get waitingEvents(): number {
    const waiting = [...this.items, ...this.encoding].reduce((sum, item) => sum + eventsIn(item), this.unsealed)
    return this.encoded.reduce((sum, { events }) => sum + events, waiting)
  }

  private newBlock(): Block {
    const block = {
      count: 0,
      series: new Uint32Array(columnsMax),
      steps: new Float64Array(columnsMax),
      values: new Float64Array(columnsMax),
      times: new Float64Array(columnsMax)
    }
    this.block = block
    this.items.push({ _tag: "Block", block })
    return block
  }

  /** Bytes that came while a commit was under way. */
  private waiting(): number {
    let bytes = 0
    for (const item of this.items) bytes += item._tag === "Block" ? item.block.count * 28 : item.payload.length + 16
    return bytes
  }

  // ---- encoding ----

  private out = new Uint8Array(0)
  private view = new DataView(this.out.buffer)
  private used = 0
  /** Events encoded since the last `seal`. */
  private unsealed = 0

  private encode(item: Item): Effect.Effect<void, StorageError> {
    // Counted behind the encoding, which may have begun another segment.
    const count = () => void (this.unsealed += eventsIn(item))
    if (item._tag === "Block") {
      return Effect.sync(() => {
        this.encodeBlock(item.block)
        count()
      })
    }
    const fits = item.payload.length + 4 <= recordLengthMax
    return Effect.map(fits ? Effect.succeed(item.payload) : this.writeBlob(item.payload), (payload) => {
      this.record(item.kind, payload)
      count()
    })
  }

  private writeBlob(payload: Uint8Array): Effect.Effect<Uint8Array, StorageError> {
    return Effect.map(this.blobs.keep(payload), (blob) => encodeText(JSON.stringify(spill(blob))))
  }

  private encodeBlock(block: Block): void {
    const length = pointsLength(block.count)
    const fresh = (segment: Segment): Array<SeriesEntry> => {
      const found = new Set<SeriesEntry>()
      for (let i = 0; i < block.count; i++) {
        const entry = this.entries[block.series[i] ?? 0]
        if (entry !== undefined && entry.definedIn !== segment.number) found.add(entry)
      }
      return [...found]
    }
    const needed = (series: ReadonlyArray<SeriesEntry>) =>
      series.reduce((sum, entry) => sum + recordSize(4 + entry.payload.length), recordSize(length))
    let segment = this.segmentFor(0)
    let series = fresh(segment)
    if (segment.length + needed(series) > this.segmentLength) {
      segment = this.roll()
      series = fresh(segment)
    }
    this.ensure(needed(series))
    for (const entry of series) {
      this.record(kind.series, entry.payload)
      entry.definedIn = segment.number
    }
    const at = this.used
    const { view } = this
    const n = block.count
    view.setUint32(at + 8, kind.points, true)
    view.setUint32(at + 12, n, true)
    let to = at + 16
    for (let i = 0; i < n; i++, to += 8) setInt64(view, to, block.steps[i] ?? 0)
    for (let i = 0; i < n; i++, to += 8) view.setFloat64(to, block.values[i] ?? NaN, true)
    for (let i = 0; i < n; i++, to += 8) view.setFloat64(to, block.times[i] ?? NaN, true)
    for (let i = 0; i < n; i++, to += 4) view.setUint32(to, block.series[i] ?? 0, true)
    this.finish(segment, at, length)
  }

  private record(recordKind: number, payload: Uint8Array): void {
    const length = 4 + payload.length
    const segment = this.segmentFor(recordSize(length))
    this.ensure(recordSize(length))
    const at = this.used
    this.view.setUint32(at + 8, recordKind, true)
    this.out.set(payload, at + 12)
    this.finish(segment, at, length)
  }

  /** Length and checksum, now that the position is known. */
  private finish(segment: Segment, at: number, length: number): void {
    const position = segment.streamOffset + segment.length - segment.headerLength
    this.view.setUint32(at, length, true)
    const seed = recordSeed(segment.salt, position)
    this.view.setUint32(at + 4, crc32(this.out, at + prefixLength, at + prefixLength + length, seed), true)
    this.used = at + recordSize(length)
    segment.length += recordSize(length)
  }

  private ensure(bytes: number): void {
    if (this.used + bytes <= this.out.length) return
    const larger = new Uint8Array(Math.max(2 * this.out.length, this.used + bytes, 1_024))
    larger.set(this.out.subarray(0, this.used))
    this.out = larger
    this.view = new DataView(larger.buffer)
  }

  /** What was encoded since the last call belongs to the current segment. */
  private seal(): void {
    if (this.used === 0 || this.segment === undefined) return
    const bytes = this.out.subarray(0, this.used)
    const last = this.encoded.at(-1)
    if (last?.segment === this.segment) {
      last.vectors.push(bytes)
      last.events += this.unsealed
    } else this.encoded.push({ segment: this.segment, vectors: [bytes], events: this.unsealed })
    this.unsealed = 0
    this.out = new Uint8Array(0)
    this.view = new DataView(this.out.buffer)
    this.used = 0
  }

  private segmentFor(bytes: number): Segment {
    const segment = this.segment
    return segment === undefined || segment.length + bytes > this.segmentLength ? this.roll() : segment
  }

  /** Begins the next segment: its header, and where the records before it ended. */
  private roll(): Segment {
    const before = this.segment
    this.seal()
    const { identity, role, salt, first } = this.options
    const number = before === undefined ? (first?.number ?? 0) : before.number + 1
    const streamOffset = this.end
    const header = { role, salt: salt(), streamOffset, createdAt: Date.now() / 1000, number, identity }
    const bytes = encodeHeader(header)
    const segment: Segment = {
      number,
      salt: header.salt,
      streamOffset,
      headerLength: bytes.length,
      length: bytes.length,
      path: this.options.storage.join(this.folder, fileName(identity.writer, number)),
      file: undefined
    }
    this.segment = segment
    this.folderIsUnsynced = true
    this.encoded.push({ segment, vectors: [bytes], events: 0 })
    if (number > 0) {
      const ended = new Uint8Array(8)
      setInt64(new DataView(ended.buffer), 0, before === undefined ? (first?.ended ?? 0) : streamOffset)
      this.record(kind.continued, ended)
    }
    return segment
  }
}

/** Points, and what else J7.8 counts as one event. */
const eventsIn = (item: Item): number => (item._tag === "Block" ? item.block.count : isCounted(item.kind) ? 1 : 0)

const recordSize = (length: number): number => align8(prefixLength + length)
