/**
 * The bytes of a derived journal (journal.md §13): what of it is committed, and how the next group of points is committed. Who decides
 * what goes into it is `Derivation`.
 *
 * A group lies in one segment, ends with its commit, and is synced before anybody reads it. Whoever goes on after a kill begins a new
 * segment; what the old one holds behind its last commit stays there and is read by nobody.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { JournalStorage, StorageError } from "../JournalStorage.ts"
import { isJsonObject, type Json } from "../JsonObject.ts"
import { idPattern } from "../Name.ts"
import { Derived } from "../RunEvent.ts"
import type { Output } from "../StatefulProcessor.ts"
import { Blobs } from "./blobs.ts"
import { align8, decodeJson, encodeText } from "./bytes.ts"
import { crc32, recordSeed } from "./crc32.ts"
import { GroupWriter } from "./groupWriter.ts"
import type { DerivedView } from "./reader.ts"
import * as JsonText from "./json.ts"
import { kind, payloadToEvent, prefixLength, recordLengthMax, spill, spilledTo } from "./records.ts"
import { decodeHeader, fileName, parseFileName, type Header } from "./segment.ts"

type Storage = JournalStorage["Service"]

/** A state whose JSON is longer lies in a blob of its own, which the next commit removes. */
const stateInlineMax = 16 * 1024

/** A group begins a new segment behind this, so that it ends within the 8 MiB of J2.8. */
const segmentRoll = 6 * 1024 * 1024

/** What is behind the commits of a segment is nobody's: `committed` is the position where it begins. */
export interface CommittedSegment {
  readonly number: number
  readonly committed: number
}

/** A derived journal as it is found on the disk. */
export interface Found {
  readonly writer: string
  /** Those in which something is committed, by number. */
  readonly segments: ReadonlyArray<CommittedSegment>
  readonly last: Derived | undefined
  /** Who made its newest file; `undefined` when that cannot be read, or there is none. */
  readonly by: { readonly host: string; readonly boot: string } | undefined
  /** Where the next segment begins. */
  readonly next: Next
}

export interface Next {
  readonly number: number
  readonly streamOffset: number
  /** Position behind the last commit. */
  readonly ended: number
}

export const beginning: Next = { number: 0, streamOffset: 0, ended: 0 }

/** The id of a derived journal's writer: the same on every host, and unlike any that is generated (J13.2). */
export const writerId = (storage: Storage, name: string, input: string | undefined): Effect.Effect<string> =>
  Effect.map(
    storage.sha256(encodeText(JSON.stringify([name, input ?? null]))),
    (digest) => `derived-${digest.slice(0, 16)}`
  )

/** Whether a writer's id is that of a derived journal. */
export const isDerived = (writer: string): boolean => writer.startsWith("derived-")

/** Names of the processors that have a folder in the run. */
export const names = (storage: Storage, runFolder: string): Effect.Effect<ReadonlyArray<string>, StorageError> =>
  Effect.map(storage.list(storage.join(runFolder, "derived")), (found) =>
    found.filter((name) => idPattern.test(name)).toSorted()
  )

/** Everything in the folder of one processor, by writer. */
export const find = (
  storage: Storage,
  runFolder: string,
  run: string,
  name: string
): Effect.Effect<ReadonlyMap<string, Found>, StorageError> =>
  Effect.gen(function* () {
    const folder = storage.join(runFolder, "derived", name)
    const files = (yield* storage.list(folder))
      .flatMap((file) => ({ file, ...(parseFileName(file) ?? { writer: "", number: 0 }) }))
      .filter(({ writer }) => isDerived(writer))
      .toSorted((a, b) => a.number - b.number)
    const found = new Map<string, Found>()
    const commitsByWriter = new Map<string, ReadonlyArray<Committed>>()
    for (const { file, writer, number } of files) {
      const bytes = yield* storage.read(storage.join(folder, file))
      if (bytes === undefined) continue
      const { next } = found.get(writer) ?? { next: beginning }
      const header = decodeHeader(bytes)
      const isOwn = header !== undefined && header.identity.run === run && header.identity.writer === writer
      const commit = isOwn ? lastCommit(bytes, header) : undefined
      const before = commitsByWriter.get(writer) ?? []
      const kept = isOwn ? yield* withoutVoid(storage, folder, writer, before, header.streamOffset) : before
      const commits = commit === undefined ? kept : [...kept, { number, ...commit }]
      commitsByWriter.set(writer, commits)
      const offset = isOwn ? header.streamOffset - header.length : next.streamOffset
      found.set(writer, {
        writer,
        segments: commits.map((one) => ({ number: one.number, committed: one.end })),
        last: commits.at(-1)?.derived,
        by: isOwn ? header.identity : undefined,
        next: {
          number: number + 1,
          streamOffset: Math.ceil((offset + bytes.length) / 8) * 8,
          ended: commits.at(-1)?.end ?? 0
        }
      })
    }
    return found
  })

/** The last commit of a segment that counts, and the position behind it. */
interface LastCommit {
  readonly derived: Derived
  readonly end: number
}

interface Committed extends LastCommit {
  readonly number: number
}

/** What a segment got behind the position at which the next one begins is void: who wrote it no longer had the journal (J13.10). */
const withoutVoid = (
  storage: Storage,
  folder: string,
  writer: string,
  commits: ReadonlyArray<Committed>,
  streamOffset: number
): Effect.Effect<ReadonlyArray<Committed>, StorageError> =>
  Effect.gen(function* () {
    const last = commits.at(-1)
    if (last === undefined || last.end <= streamOffset) return commits
    const bytes = yield* storage.read(storage.join(folder, fileName(writer, last.number)))
    const header = bytes === undefined ? undefined : decodeHeader(bytes)
    const commit = bytes === undefined || header === undefined ? undefined : lastCommit(bytes, header, streamOffset)
    const rest = commits.slice(0, -1)
    return commit === undefined ? rest : [...rest, { number: last.number, ...commit }]
  })

/** Makes what is committed safe from a power cut: whoever wrote it may have been killed before it had. */
export const sync = (
  storage: Storage,
  runFolder: string,
  name: string,
  found: Iterable<Found>
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const folder = storage.join(runFolder, "derived", name)
    const newest = [...found].flatMap(({ writer, segments }) => {
      const last = segments.at(-1)
      return last === undefined ? [] : [fileName(writer, last.number)]
    })
    // What is appended is synced, and all that the file has before it.
    for (const file of newest) yield* storage.append(storage.join(folder, file), new Uint8Array(0))
    if (newest.length > 0) yield* storage.syncFolder(folder)
  })

/** What of one derived journal is committed, as readers take it; none when nothing is. */
export const viewOf = (
  name: string,
  writer: string,
  segments: ReadonlyArray<CommittedSegment>
): ReadonlyArray<DerivedView> =>
  segments.length === 0
    ? []
    : [
        {
          id: writer,
          name,
          isOver: false,
          segments: segments.map(({ number }) => number),
          committed: new Map(segments.map(({ number, committed }) => [number, committed]))
        }
      ]

/** What of a run's derived journals is committed, for who only reads. */
export const committed = (
  storage: Storage,
  runFolder: string,
  run: string
): Effect.Effect<ReadonlyArray<DerivedView>, StorageError> =>
  Effect.gen(function* () {
    const views: Array<DerivedView> = []
    for (const name of yield* names(storage, runFolder)) {
      const found = yield* find(storage, runFolder, run, name)
      for (const { writer, segments } of found.values()) views.push(...viewOf(name, writer, segments))
    }
    return views
  })

/** The last commit of a segment whose group is whole, up to a position: each of its records good, one directly behind the other (J13.4). */
const lastCommit = (bytes: Uint8Array, header: Header, until = Number.POSITIVE_INFINITY): LastCommit | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const positionOf = (offset: number) => header.streamOffset + offset - header.length
  const candidates: Array<{ readonly payload: Uint8Array; readonly wholeFrom: number; readonly end: number }> = []
  let wholeFrom = positionOf(header.length)
  for (let offset = header.length; offset + prefixLength + 4 <= bytes.length;) {
    const length = view.getUint32(offset, true)
    const whole = prefixLength + length
    const isGood =
      length >= 4 &&
      length <= recordLengthMax &&
      offset + whole <= bytes.length &&
      crc32(bytes, offset + prefixLength, offset + whole, recordSeed(header.salt, positionOf(offset))) ===
        view.getUint32(offset + 4, true)
    if (!isGood) {
      offset += 8
      wholeFrom = positionOf(offset)
      continue
    }
    const next = offset + align8(whole)
    if (view.getUint32(offset + 8, true) === kind.derived) {
      candidates.push({ payload: bytes.subarray(offset + 12, offset + whole), wholeFrom, end: positionOf(next) })
    }
    offset = next
  }
  for (const { payload, wholeFrom: from, end } of candidates.toReversed()) {
    const derived = payloadToEvent(kind.derived, decodeJson(payload))
    if (derived?._tag === "Derived" && derived.from >= from && end <= until) return { derived, end }
  }
  return undefined
}

const decodeState = Schema.decodeUnknownResult(Schema.Json)

/** The state that a commit holds, or names; `undefined` when its blob is not what it was. */
export const readState = (
  storage: Storage,
  runFolder: string,
  { state }: Derived
): Effect.Effect<Json | undefined, StorageError> =>
  Effect.gen(function* () {
    const sha256 = spilledTo(state)
    if (sha256 === undefined) return state
    const bytes = yield* storage.read(storage.join(runFolder, "blobs", sha256))
    if (bytes === undefined || (yield* storage.sha256(bytes)) !== sha256) return undefined
    return Result.getOrUndefined(decodeState(decodeJson(bytes)))
  })

/** What a commit says beside its points. */
export type Commit = Omit<Derived, "_tag" | "from">

export interface WriterOptions {
  readonly storage: Storage
  readonly runFolder: string
  readonly run: string
  /** Of the processor: its folder. */
  readonly name: string
  readonly writer: string
  readonly next: Next
  /** The blob that the last commit's state lies in. */
  readonly blob: string | undefined
  /** Files are open until it closes. */
  readonly scope: Scope.Scope
}

/** Appends groups to a derived journal. Not to be used any more once a commit has failed. */
export class DerivedWriter {
  private readonly options: WriterOptions
  private group: GroupWriter | undefined
  private next: Next
  private number: number
  private segmentFrom = 0
  private blob: string | undefined
  /** Blobs of states before the last commit's. */
  private readonly unused = new Set<string>()

  constructor(options: WriterOptions) {
    this.options = options
    this.next = options.next
    this.number = options.next.number
    this.blob = options.blob
  }

  /** Writes one group. When it has returned, the group survives a power cut. */
  commit(outputs: ReadonlyArray<Output>, commit: Commit): Effect.Effect<CommittedSegment, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const group = yield* this.open
      const from = group.end
      for (const { name, context, step, value, time } of outputs) {
        group.point(group.define(name, context), step, value, time)
      }
      const [state, blob] = yield* this.stored(commit.state)
      group.event({ _tag: "Derived", ...commit, from, state })
      yield* group.commit
      yield* group.sync
      if (this.blob !== undefined && this.blob !== blob) this.unused.add(this.blob)
      if (blob !== undefined) this.unused.delete(blob)
      this.blob = blob
      this.next = { number: this.number + 1, streamOffset: group.end, ended: group.end }
      if (group.end - this.segmentFrom >= segmentRoll) this.group = undefined
      return { number: this.number, committed: group.end }
    })
  }

  /** Removes the states before that of the last commit, once that one counts: no other is ever read (J13.7). */
  get removeOldStates(): Effect.Effect<void, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const { storage, runFolder } = this.options
      for (const sha256 of this.unused) {
        yield* storage.remove(storage.join(runFolder, "blobs", sha256))
        this.unused.delete(sha256)
      }
    })
  }

  /** The group writer of the segment under way, or of a new one: a group never runs over into the next segment. */
  private get open(): Effect.Effect<GroupWriter, StorageError> {
    return Effect.gen({ self: this }, function* () {
      if (this.group !== undefined) return this.group
      const { storage, runFolder, run, name, writer, scope } = this.options
      const folder = storage.join(runFolder, "derived", name)
      yield* storage.makeFolder(folder)
      const salt = Number.parseInt(yield* storage.randomHex(4), 16)
      const { name: host, boot, pid } = storage.host
      this.number = this.next.number
      this.segmentFrom = this.next.streamOffset
      this.group = new GroupWriter({
        storage,
        runFolder,
        folder,
        first: this.next,
        role: "derived",
        identity: { run, writer, host, boot, pid },
        segmentLength: Number.POSITIVE_INFINITY,
        salt: () => salt,
        open: (path) =>
          Effect.map(Effect.provideService(storage.openAppend(path), Scope.Scope, scope), (file) => ({
            ...file,
            close: Effect.void
          }))
      })
      return this.group
    })
  }

  /** The state as the record holds it, and the blob it lies in where it is long. */
  private stored(state: Json): Effect.Effect<readonly [Json, string | undefined], StorageError> {
    return Effect.gen({ self: this }, function* () {
      const text = JsonText.stringify(state) ?? "null"
      if (text.length <= stateInlineMax) return [state, undefined] as const
      const { storage, runFolder } = this.options
      const blob = yield* new Blobs(storage, runFolder).keep(encodeText(text))
      const reference = spill(blob)
      return [reference, spilledTo(reference)] as const
    })
  }
}

/** The blob that a commit's state lies in. */
export const blobOf = ({ state }: Derived): string | undefined => (isJsonObject(state) ? spilledTo(state) : undefined)
