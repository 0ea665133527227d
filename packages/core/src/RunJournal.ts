/**
 * One run's folder, to be read: its writers and whether they live, its events from any mark on, its cursors. Nothing here
 * writes a journal; that is `JournalWriter`'s, which lives in the process that logs.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Batch } from "./Backend.ts"
import * as Cursor from "./Cursor.ts"
import type { JournalStorage, StorageError } from "./JournalStorage.ts"
import * as Run from "./Run.ts"
import { countOf, runStarted, type Renamed, type RunEvent, type RunFinished, type RunStarted } from "./RunEvent.ts"
import { archiveFolder, type Archived } from "./internal/archiver.ts"
import { decodeJson, decodeText, encodeText } from "./internal/bytes.ts"
import { addLosses, Collected, noLosses, withPosition, type Limits, type Spilled } from "./internal/decoder.ts"
import { committed, isDerived } from "./internal/derivedJournal.ts"
import { Liveness, type Life } from "./internal/liveness.ts"
import { makeReader, type DerivedView, type DerivedViews, type Follower } from "./internal/reader.ts"
import { kind, payloadToEvent } from "./internal/records.ts"
import { giveBack } from "./internal/reservation.ts"
import { decodeHeader, headerLengthMax, type Identity, type Role } from "./internal/segment.ts"
import { SegmentFolder } from "./internal/segmentFolder.ts"
import { WriterTail, type Chunk, type Progress, type WriterView } from "./internal/writerTail.ts"

/** One writer of the run, as its first readable header names it. */
export interface Writer extends WriterView {
  readonly role: Role
  readonly identity: Identity
  readonly life: Life
  /** When its first readable segment was made, seconds since the Unix epoch. */
  readonly since: number
}

export interface Reader {
  /** The next events of some writer, or `undefined` when there are none now. */
  readonly next: Effect.Effect<Batch | undefined, StorageError>
  /** True when the last `next` found every writer over and read to its end. */
  readonly isDrained: () => boolean
  /** What could not be read so far: gaps in bytes, unknown and damaged records. */
  readonly losses: () => Cursor.Losses
}

/** What observers have changed of a run after the fact, or beside it. */
export interface Amended {
  /** The latest name they gave it. */
  readonly name: string | undefined
  /** The greatest time of a change of name or tags, seconds since the Unix epoch; −Infinity when there is none. */
  readonly lastTime: number
}

/** How a run stands, from the records and locks of its writers. */
export interface Standing {
  readonly status: Run.Status
  /** Seconds since the Unix epoch: the last end record, or the last thing logged; `undefined` while it runs. */
  readonly endedAt: number | undefined
}

/** How one writer ended. */
export interface Ending {
  /** Its end record; `undefined` when it has none. */
  readonly finished: RunFinished | undefined
  /** The time of the last thing it logged, seconds since the Unix epoch; 0 when nothing can be read. */
  readonly lastTime: number
}

const none: ReadonlySet<string> = new Set()

const resumes = ({ identity, role }: Writer): boolean => role === "primary" && identity.resumes === true

/** How often the end record of a writer is looked for whose lock cannot be seen: it costs the reading of its last segment. */
const lookForEndEveryMs = 5_000
const cursorPattern = /^([A-Za-z0-9][A-Za-z0-9_-]{0,63})(?:\.([1-9][0-9]{0,8}))?\.json$/

/** `<backend>.json`, and `<backend>.<epoch>.json` once the delivery was taken over (J7.4). */
const cursorName = (backend: string, epoch: number): string => `${backend}${epoch === 0 ? "" : `.${epoch}`}.json`
const decodeCursor = Schema.decodeUnknownResult(Cursor.CursorFile)
const encodeCursor = Schema.encodeSync(Cursor.CursorFile)

/** What all runs of a journal share. */
export interface Shared {
  /** Where a run lies. */
  readonly runFolder: (run: string) => string
  readonly storage: JournalStorage["Service"]
  readonly chunk: Chunk
  /** Held while the chunk is in use. */
  readonly reading: Semaphore.Semaphore
}

/** Read of a blob at a time. */
const blobPieceBytes = 256 * 1024

const everything: Limits = { points: 65_536, bytes: 16 * 1024 * 1024 }

export class RunJournal {
  readonly id: Run.RunId
  private readonly shared: Shared
  /** Where all of it lies. */
  readonly folder: string
  private readonly scope: Scope.Scope
  private readonly known = new Map<
    string,
    { readonly role: Role; readonly liveness: Liveness; readonly identity: Identity; readonly since: number }
  >()
  private readonly reclaimed = new Set<string>()
  private isLocal: boolean | undefined
  private readonly segments: SegmentFolder

  /** The scope is that of who opened it: probes under way end with it. */
  constructor(shared: Shared, id: Run.RunId, scope: Scope.Scope) {
    this.shared = shared
    this.folder = shared.runFolder(id)
    this.id = id
    this.scope = scope
    this.segments = new SegmentFolder(shared.storage, this.path("journal"), id)
  }

  get storage(): JournalStorage["Service"] {
    return this.shared.storage
  }

  /** Another run of the same journal. */
  sibling(id: Run.RunId): RunJournal {
    return new RunJournal(this.shared, id, this.scope)
  }

  private path(...parts: ReadonlyArray<string>): string {
    return this.shared.storage.join(this.folder, ...parts)
  }

  // ---- writers ----

  /** The writers there are now. Whether they live is the last answer; a new one is asked for beside it. */
  get writers(): Effect.Effect<ReadonlyArray<Writer>, StorageError> {
    return this.list((liveness) => Effect.as(liveness.refresh(this.scope), liveness.life))
  }

  /** The same with answers of now: up to 150 ms for those that live. */
  get writersNow(): Effect.Effect<ReadonlyArray<Writer>, StorageError> {
    return this.list((liveness) => liveness.ask)
  }

  private list(life: (liveness: Liveness) => Effect.Effect<Life>): Effect.Effect<ReadonlyArray<Writer>, StorageError> {
    return Effect.gen({ self: this }, function* () {
      // Whether a writer lives is asked before its segments are listed: one that was over then has added nothing since.
      const lives = new Map<string, Life>()
      yield* Effect.forEach(
        this.known,
        ([id, { liveness }]) => Effect.map(life(liveness), (answer) => void lives.set(id, answer)),
        { concurrency: "unbounded", discard: true }
      )
      const segments = yield* this.segments.list
      let hasNew = false
      for (const [id, numbers] of segments) {
        if (!this.known.has(id) && (yield* this.meet(id, numbers))) hasNew = true
      }
      // Whoever was just met has to be asked too, and again before its segments are listed.
      if (hasNew) return yield* this.list(life)
      const writers: Array<Writer> = []
      for (const [id, numbers] of segments) {
        const known = this.known.get(id)
        if (known === undefined) continue
        // Only who is over is archived (J11.2), whatever can be told of its lock.
        const answer = this.segments.isArchived(id) ? "over" : (lives.get(id) ?? "alive")
        writers.push({
          id,
          segments: numbers,
          role: known.role,
          identity: known.identity,
          since: known.since,
          life: answer,
          isOver: answer === "over"
        })
      }
      const unseen = writers.filter(({ isOver, identity: { boot } }) => !isOver && boot !== this.host.boot)
      const ended = unseen.length > 0 && !(yield* this.locksDecide) ? yield* this.endedOf(writers, unseen) : none
      return writers
        .map((writer) => (ended.has(writer.id) ? { ...writer, life: "over" as const, isOver: true } : writer))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    })
  }

  /**
   * Which of the writers whose locks cannot be seen from here are over all the same: nothing comes behind an end record (J10.1), and a silent
   * observer ends with the writer that it watches (J2.7).
   */
  private endedOf(all: ReadonlyArray<Writer>, unseen: ReadonlyArray<Writer>) {
    return Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      const ended = new Set<string>()
      for (const writer of unseen) {
        if (this.endings.get(writer.id)?.finished === undefined) {
          if (now - (this.lookedAt.get(writer.id) ?? Number.NEGATIVE_INFINITY) < lookForEndEveryMs) continue
          this.lookedAt.set(writer.id, now)
        }
        if ((yield* this.ending(writer)).finished !== undefined) ended.add(writer.id)
      }
      for (const { id, role, life, identity } of unseen) {
        const watched = all.find((writer) => writer.id === identity.of)
        const isWatchedOver = watched !== undefined && (watched.isOver || ended.has(watched.id))
        if (role === "observer" && life === "stale" && isWatchedOver) ended.add(id)
      }
      return ended
    })
  }

  /** Reads who a writer is from the first of its segments that has a good header; false when none has one (yet). */
  private meet(id: string, segments: ReadonlyArray<number>): Effect.Effect<boolean, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const { storage } = this.shared
      const lock = this.path("journal", `${id}.lock`)
      for (const number of segments) {
        const header = yield* this.shared.reading.withPermit(
          Effect.scoped(
            Effect.gen({ self: this }, function* () {
              const file = yield* this.segments.open(id, number)
              const length = yield* file.readInto(0, this.shared.chunk.u8.subarray(0, headerLengthMax))
              return decodeHeader(this.shared.chunk.u8.subarray(0, length))
            })
          )
        )
        if (header?.identity.run !== this.id || header.identity.writer !== id) continue
        this.isLocal ??= yield* storage.isLocal(this.folder)
        const liveness = new Liveness(storage, lock, header.identity.boot, this.isLocal)
        this.known.set(id, { role: header.role, liveness, identity: header.identity, since: header.createdAt })
        return true
      }
      // A living writer is just making its first segment. Of a dead one nothing can be read, and all of it is a gap (J2.1).
      const liveness = new Liveness(storage, lock, storage.host.boot, true)
      // A lock that looks free may be another host's: whatever is just being made there must not pass for over.
      const isOver = this.segments.isArchived(id) || ((yield* liveness.ask) === "over" && (yield* this.locksDecide))
      if (!isOver) return false
      const identity = { run: this.id, writer: id, host: "", boot: "", pid: 0 }
      this.known.set(id, { role: "primary", liveness, identity, since: 0 })
      return true
    })
  }

  // ---- events ----

  /** A reader that starts at `marks`, of the writers and of what of the derived journals it is given. It holds files open until the scope closes. */
  reader(marks: Cursor.Marks, limits: Limits, derived?: DerivedViews): Effect.Effect<Reader, never, Scope.Scope> {
    return makeReader(this, marks, limits, derived)
  }

  /** Reads one writer from `from` on, in batches within `limits`; with `derivedBy` one of that processor's journals. */
  follow(
    id: string,
    from: Cursor.Mark,
    limits: Limits,
    derivedBy?: string
  ): Effect.Effect<Follower, never, Scope.Scope> {
    const folder =
      derivedBy === undefined
        ? this.segments
        : new SegmentFolder(this.shared.storage, this.path("derived", derivedBy), this.id)
    const tail = new WriterTail(folder, from)
    let losses = noLosses
    // Of a backlog each batch is as long as the one before. Columns that grow to that leave pieces behind which the allocator keeps.
    let expected = 0
    const take: Follower["take"] = (writer) =>
      Effect.gen({ self: this }, function* () {
        const before = tail.mark
        const into = new Collected(limits, expected)
        const progress = yield* this.shared.reading.withPermit(tail.fill(writer, this.shared.chunk, into))
        into.flush()
        expected = progress === "full" ? into.size : 0
        const [events, missing] = yield* this.fetchSpilled(into.events)
        losses = addLosses(losses, { ...into.losses, damaged: into.damaged + missing })
        const to = tail.mark
        if (!Cursor.isBefore(before, to)) return [undefined, progress] as const
        this.known.get(id)?.liveness.touch(yield* Clock.currentTimeMillis)
        return [{ writer: id, from: before, to, events, filtered: 0, rejected: 0 }, progress] as const
      })
    const follower: Follower = { mark: () => tail.mark, take, losses: () => losses }
    return Effect.as(
      Effect.addFinalizer(() => tail.close),
      follower
    )
  }

  /** Puts events in the place of payloads that lie in blobs; a blob that is missing or wrong makes its record damaged (J6.2). */
  private fetchSpilled(events: ReadonlyArray<RunEvent | Spilled>) {
    return Effect.gen({ self: this }, function* () {
      const whole: Array<RunEvent> = []
      let missing = 0
      for (const event of events) {
        if (event._tag !== "Spilled") {
          whole.push(event)
          continue
        }
        // Of commits only the last one is read, and not here.
        if (event.kind === kind.derived) continue
        const bytes = yield* this.shared.storage.read(this.path("blobs", event.sha256))
        const isRight = bytes !== undefined && (yield* this.shared.storage.sha256(bytes)) === event.sha256
        const payload = isRight ? payloadToEvent(event.kind, decodeJson(bytes)) : undefined
        if (payload === undefined) missing++
        else whole.push(withPosition(payload, event.position))
      }
      return [whole, missing] as const
    })
  }

  /** The bytes of a blob, by its digest `sha256:<hex>`, a piece at a time. */
  blob(digest: string): Stream.Stream<Uint8Array, StorageError> {
    return Stream.unwrap(
      Effect.map(this.shared.storage.openRead(this.path("blobs", digest.replace(/^sha256:/, ""))), (file) =>
        Stream.paginate(0, (offset) => {
          const piece = new Uint8Array(blobPieceBytes)
          return Effect.map(file.readInto(offset, piece), (count) => [
            count === 0 ? [] : [piece.subarray(0, count)],
            count < piece.length ? Option.none() : Option.some(offset + count)
          ])
        })
      )
    )
  }

  /**
   * The first run-started record, or `undefined` when none can be read yet. Of a run whose record is lost while other records are left
   * there is one all the same, with the names of a run that was given none and no backend: what is left can be read and kept.
   */
  get started(): Effect.Effect<RunStarted | undefined, StorageError> {
    return Effect.gen({ self: this }, function* () {
      // Read as if nobody wrote any more, which finds whatever is there: of a run just begun that is nothing, and no lock need be probed.
      const first = yield* this.beginning((yield* this.writers).map((writer) => ({ ...writer, isOver: true })))
      if (first === undefined || first._tag === "RunStarted") return first
      const writers = yield* this.writersNow
      if (writers.some(({ isOver }) => !isOver)) return undefined
      // Whoever was over by then has written all it ever will: a start that came since is there now.
      const left = yield* this.beginning(writers)
      if (left === undefined || left._tag === "RunStarted") return left
      return runStarted(this.id, { time: timeOf(left) })
    })
  }

  /** The first run-started record, or where there is none the first event that has a time. */
  private beginning(writers: ReadonlyArray<Writer>): Effect.Effect<RunEvent | undefined, StorageError> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        let other: RunEvent | undefined
        // Who resumed it knows less of how it was begun.
        for (const writer of writers.toSorted((a, b) => Number(resumes(a)) - Number(resumes(b)))) {
          if (writer.role !== "primary") continue
          const tail = new WriterTail(this.segments, Cursor.start)
          yield* Effect.addFinalizer(() => tail.close)
          const into = new Collected({ points: 64, bytes: 1 })
          yield* this.shared.reading.withPermit(tail.fill(writer, this.shared.chunk, into))
          into.flush()
          const [events] = yield* this.fetchSpilled(into.events)
          const started = events.find(({ _tag }) => _tag === "RunStarted")
          if (started !== undefined) return started
          other ??= events.find((event) => timeOf(event) > 0)
        }
        return other
      })
    )
  }

  /** What observers have changed of the run (J5.9, J5.14). Reads their journals alone: they are short. */
  get amended(): Effect.Effect<Amended, StorageError> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        let latest: Renamed | undefined
        let lastTime = -Infinity
        for (const writer of yield* this.writers) {
          if (writer.role !== "observer") continue
          const tail = new WriterTail(this.segments, Cursor.start)
          yield* Effect.addFinalizer(() => tail.close)
          let own: Renamed | undefined
          for (let progress: Progress = "full"; progress === "full";) {
            const into = new Collected(everything)
            progress = yield* this.shared.reading.withPermit(tail.fill(writer, this.shared.chunk, into))
            into.flush()
            const [events] = yield* this.fetchSpilled(into.events)
            for (const event of events) {
              if (event._tag !== "Renamed" && event._tag !== "Tags") continue
              lastTime = Math.max(lastTime, event.time)
              // Within one writer order decides, whatever its clock did.
              if (event._tag === "Renamed") own = { ...event, time: Math.max(event.time, own?.time ?? event.time) }
            }
          }
          // Writers come by id: of equal times the greater id counts, as in the store.
          if (own !== undefined && (latest === undefined || own.time >= latest.time)) latest = own
        }
        return { name: latest?.name, lastTime }
      })
    )
  }

  /** Status and end, of `writers` or of those there are now (journal.md §10). */
  standing(writers: ReadonlyArray<Writer>): Effect.Effect<Standing, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const statuses: Array<Run.Status> = []
      let endedAt = 0
      const resumedAt = Math.max(...writers.filter(resumes).map(({ since }) => since), Number.NEGATIVE_INFINITY)
      for (const writer of writers) {
        if (writer.role === "observer") continue
        if (writer.life !== "over") {
          statuses.push(writer.life === "alive" ? "running" : "stale")
          continue
        }
        const { finished, lastTime } = yield* this.ending(writer)
        const end = finished?.time ?? lastTime
        endedAt = Math.max(endedAt, end)
        // How a run ended that was resumed afterwards says nothing of how it ended at last (J10.3).
        if (!resumes(writer) && end <= resumedAt) continue
        if (writer.role === "primary") statuses.push(finished?.status ?? "killed")
        else if (finished?.status === "failed") statuses.push("failed")
      }
      const status = statuses.length === 0 && writers.length > 0 ? "finished" : Run.worst(statuses)
      return { status, endedAt: Run.isOpen(status) ? undefined : endedAt }
    })
  }

  private readonly endings = new Map<string, Ending>()
  private readonly lookedAt = new Map<string, number>()

  /** How a writer ended, or what it has logged so far while it is not over. Its end record is among its last: read from its last segments. */
  ending(writer: Writer): Effect.Effect<Ending, StorageError> {
    const known = this.endings.get(writer.id)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        let finished: RunFinished | undefined
        let last = 0
        // A next segment is made before it is needed, so the last one may be empty.
        for (const segments of writer.segments.toReversed().map((number) => [number])) {
          const tail = new WriterTail(this.segments, Cursor.start)
          yield* Effect.addFinalizer(() => tail.close)
          for (let progress: Progress = "full"; progress === "full";) {
            const into = new Collected(everything)
            progress = yield* this.shared.reading.withPermit(
              tail.fill({ ...writer, segments }, this.shared.chunk, into)
            )
            into.flush()
            for (const event of into.events) {
              if (event._tag === "RunFinished") finished = event
              last = Math.max(last, timeOf(event))
            }
          }
          if (last > 0) break
        }
        const ending = { finished, lastTime: last }
        if (writer.isOver || finished !== undefined) this.endings.set(writer.id, ending)
        return ending
      })
    )
  }

  /** What of its derived journals is committed, for who only reads. */
  get derived(): Effect.Effect<ReadonlyArray<DerivedView>, StorageError> {
    return committed(this.storage, this.folder, this.id)
  }

  /**
   * How many events lie behind `marks`, derived ones among them, and what could not be read there. `points` are those that were
   * captured.
   */
  countFrom(
    marks: Cursor.Marks
  ): Effect.Effect<{ readonly events: number; readonly points: number; readonly losses: Cursor.Losses }, StorageError> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const views = yield* this.derived
        const reader = yield* this.reader(marks, everything, { views: Effect.succeed(views), isDone: () => true })
        let events = 0
        let points = 0
        for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
          for (const event of batch.events) {
            if (event._tag === "PointBatch" && !isDerived(batch.writer)) points += event.count
            else events += countOf(event)
          }
        }
        return { events: events + points, points, losses: reader.losses() }
      })
    )
  }

  // ---- what delivery keeps here ----

  /** Takes the run's delivery until the scope closes; `false` when another process has it (J8.5). */
  get lock(): Effect.Effect<boolean, StorageError, Scope.Scope> {
    return this.shared.storage.lock(this.path("delivery.lock"))
  }

  /**
   * Gives back what those of `writers` that are over reserved and did not use, once for each (J2.9). To be called by the holder of
   * `delivery.lock`.
   */
  giveBack(writers: ReadonlyArray<Writer>): Effect.Effect<void, StorageError> {
    const over = writers.filter(({ id, isOver }) => isOver && !this.reclaimed.has(id) && !this.segments.isArchived(id))
    return Effect.forEach(
      over,
      (writer) => {
        this.reclaimed.add(writer.id)
        return giveBack(this.shared.storage, this.path("journal"), writer)
      },
      { discard: true }
    )
  }

  /** Bytes that an archive has lost and that belong to no writer that is known (J11.6). As of the last listing. */
  get lost(): number {
    return this.segments.archived.contents.lost
  }

  /** Rewrites the segments as one archive. Whether it may be done is `Archive`'s to know. */
  get archive(): Effect.Effect<Archived, StorageError> {
    const { storage } = this.shared
    const blobs = this.path("blobs")
    // Copies that were never whole: nobody is left who would finish them.
    const torn = Effect.map(storage.list(blobs), (names) => names.filter((name) => name.endsWith(".tmp")))
    return Effect.flatMap(torn, (names) =>
      Effect.forEach(names, (name) => storage.remove(storage.join(blobs, name)), { discard: true })
    ).pipe(Effect.andThen(Effect.suspend(() => archiveFolder(storage, this.segments))))
  }

  /** The greatest epoch of each backend that has a cursor. */
  private get epochs(): Effect.Effect<ReadonlyMap<string, number>, StorageError> {
    // A file in the folder's place holds no cursor, and says so when one is to be written.
    const listed = Effect.catchIf(
      this.shared.storage.list(this.path("cursors")),
      ({ code }) => code === "ENOTDIR",
      () => Effect.succeed([])
    )
    return Effect.map(listed, (names) => {
      const epochs = new Map<string, number>()
      for (const name of names) {
        const [, backend, epoch = "0"] = cursorPattern.exec(name) ?? []
        if (backend !== undefined) epochs.set(backend, Math.max(Number(epoch), epochs.get(backend) ?? 0))
      }
      return epochs
    })
  }

  /** How often the delivery to `backend` was taken over: whoever began with a smaller epoch has to stop (J7.4). */
  epoch(backend: string): Effect.Effect<number, StorageError> {
    return Effect.map(this.epochs, (epochs) => epochs.get(backend) ?? 0)
  }

  /** Those that there are, by backend. */
  get cursors(): Effect.Effect<ReadonlyMap<string, Cursor.Cursor | "damaged">, StorageError> {
    return Effect.gen({ self: this }, function* () {
      const cursors = new Map<string, Cursor.Cursor | "damaged">()
      for (const backend of (yield* this.epochs).keys()) {
        const cursor = yield* this.cursor(backend)
        if (cursor !== undefined) cursors.set(backend, cursor)
      }
      return cursors
    })
  }

  /** The backend's cursor, of the greatest epoch: `undefined` when there is none, `"damaged"` when it cannot be read (J7.6). */
  cursor(backend: string): Effect.Effect<Cursor.Cursor | "damaged" | undefined, StorageError> {
    const { storage } = this.shared
    const at = (epoch: number): Effect.Effect<Cursor.Cursor | "damaged" | undefined, StorageError> =>
      Effect.flatMap(storage.read(this.path("cursors", cursorName(backend, epoch))), (bytes) => {
        if (bytes === undefined) return Effect.undefined
        // Whoever took over was cut off before it had sent anything: the one before says how far it is.
        if (epoch > 0 && bytes.length === 0) return at(epoch - 1)
        const cursor = Result.getOrUndefined(decodeCursor(decodeText(bytes)))
        return Effect.succeed(cursor?.run === this.id ? cursor : ("damaged" as const))
      })
    return Effect.flatMap(this.epoch(backend), at)
  }

  /** Begins the epoch of `cursor`, if nobody has: then what is saved under a smaller one counts no more. When it has returned it survives a power cut. */
  takeOver(cursor: Cursor.Cursor): Effect.Effect<boolean, StorageError> {
    const { storage } = this.shared
    const path = this.path("cursors", cursorName(cursor.backend, cursor.epoch))
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        yield* storage.makeFolder(this.path("cursors"))
        const file = yield* storage.openAppend(path)
        yield* file.append([encodeText(encodeCursor(cursor))])
        yield* file.sync
        yield* storage.syncFolder(this.path("cursors"))
        return true
      })
    ).pipe(Effect.catch((error) => (error.code === "EEXIST" ? Effect.succeed(false) : Effect.fail(error))))
  }

  /** Where locks of other hosts can be seen (J8.4). */
  get locksDecide(): Effect.Effect<boolean, StorageError> {
    return Effect.suspend(() => {
      const known = this.isLocal
      if (known !== undefined) return Effect.succeed(known)
      return Effect.map(this.shared.storage.isLocal(this.folder), (isLocal) => (this.isLocal = isLocal))
    })
  }

  /** This host, as `storage` names it. */
  get host(): JournalStorage["Service"]["host"] {
    return this.shared.storage.host
  }

  saveCursor(cursor: Cursor.Cursor, options: { readonly sync: boolean }): Effect.Effect<void, StorageError> {
    const { storage } = this.shared
    return Effect.andThen(
      storage.makeFolder(this.path("cursors")),
      Effect.suspend(() =>
        storage.replace(
          this.path("cursors", cursorName(cursor.backend, cursor.epoch)),
          encodeText(encodeCursor(cursor)),
          options
        )
      )
    )
  }
}

const timeOf = (event: RunEvent | Spilled): number => {
  if (event._tag === "PointBatch") return event.times.reduce((a, b) => Math.max(a, b), 0)
  return "time" in event ? event.time : 0
}
