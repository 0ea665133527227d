/**
 * Writes batches into one run there. Everything it sends may be sent again: points, params and inputs are stored once, tags and files
 * overwrite themselves. What the server refuses of a request is found and rejected alone; params, tags and points travel apart, so none
 * sinks another.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Batch, EndRun, OpenRun } from "@tracelet/core/Backend"
import type { BackendError } from "@tracelet/core/BackendError"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { Series } from "@tracelet/core/Series"
import type { Rejected, WriteReport } from "@tracelet/core/WriteReport"
import type { Refusal } from "../MlflowError.ts"
import type { MlflowClient } from "../MlflowClient.ts"
import * as MlflowMapping from "../MlflowMapping.ts"
import type { Entry } from "../MlflowMapping.ts"
import { filesOf, type File } from "./files.ts"
import { attachedTags, type Found, parentOf } from "./findRun.ts"
import { paramsPerBatch, paramValueLength, runNameLength, tagsPerBatch, tagValueLength } from "./limits.ts"

type Kind = "metrics" | "params" | "tags"

const loggedArtifacts = "mlflow.loggedArtifacts"

export class RunWriter {
  private readonly client: MlflowClient["Service"]
  private readonly open: OpenRun
  private readonly id: string
  private readonly experiment: string
  private readonly artifactUri: string
  private status: string
  private orphanOf: string | undefined
  private readonly keys = new MlflowMapping.Keys()
  /** Entries of the tag that lists tables, as JSON; read once, since nobody else writes to this run. */
  private tables: ReadonlyArray<string>
  private hasImages = false
  private renamedAt = Number.NEGATIVE_INFINITY

  constructor(client: MlflowClient["Service"], open: OpenRun, { orphanOf, run }: Found) {
    this.client = client
    this.open = open
    this.id = run.info.run_id
    this.experiment = run.info.experiment_id
    this.artifactUri = run.info.artifact_uri ?? ""
    this.status = run.info.status
    this.orphanOf = orphanOf
    this.tables = tablesIn(run.data?.tags?.find(({ key }) => key === loggedArtifacts)?.value)
  }

  /** What belongs to the run's beginning and is not in the call that makes it. */
  get begin(): Effect.Effect<void, BackendError> {
    const tags = MlflowMapping.tags(Object.fromEntries(attachedTags(this.open).map(({ key, value }) => [key, value])))
    return Effect.asVoid(
      Effect.andThen(this.wholeTags(0), this.sendTags(new Map(tags.map((tag) => [tag.key, { ...tag, event: 0 }]))))
    )
  }

  write(batch: Batch): Effect.Effect<WriteReport, BackendError> {
    return Effect.gen({ self: this }, function* () {
      yield* this.reopen
      yield* this.nest
      const told: Array<readonly [string, Series]> = []
      const points = batch.events.flatMap((event, at) =>
        event._tag === "PointBatch"
          ? [{ at, ...MlflowMapping.metrics(event, at, this.keys, (key, series) => void told.push([key, series])) }]
          : []
      )
      const rejected: Array<Rejected> = points.flatMap(({ at, refused }) =>
        refused.map(({ index, reason }) => ({ event: at, index, reason }))
      )
      rejected.push(...(yield* this.params(batch)))
      rejected.push(...(yield* this.tags(batch, told)))
      rejected.push(
        ...(yield* this.offerAll(
          "metrics",
          points.flatMap(({ entries }) => entries)
        ))
      )
      yield* this.rename(batch)
      rejected.push(...(yield* this.files(batch)))
      return { rejected: onePerEvent(rejected), retryFrom: undefined }
    })
  }

  close({ endedAt, status }: EndRun): Effect.Effect<void, BackendError> {
    const ended = statuses[status]
    return Effect.andThen(
      this.nest,
      Effect.map(
        this.client.updateRun({
          run_id: this.id,
          status: ended,
          ...(ended === "RUNNING" ? {} : { end_time: MlflowMapping.milliseconds(endedAt) })
        }),
        () => void (this.status = ended)
      )
    )
  }

  /** A late writer opens a run that has ended. */
  private get reopen(): Effect.Effect<void, BackendError> {
    if (this.status === "RUNNING") return Effect.void
    return Effect.map(
      this.client.updateRun({ run_id: this.id, status: "RUNNING" }),
      () => void (this.status = "RUNNING")
    )
  }

  /** Its parent may be delivered after it, or never. */
  private get nest(): Effect.Effect<void, BackendError> {
    if (this.orphanOf === undefined) return Effect.void
    return Effect.gen({ self: this }, function* () {
      const parent = yield* parentOf(this.client, this.open, this.experiment)
      if (parent === undefined) return
      yield* this.sendTags(new Map([["mlflow.parentRunId", { key: "mlflow.parentRunId", value: parent, event: 0 }]]))
      this.orphanOf = undefined
    })
  }

  // ---- params ----

  private params(batch: Batch): Effect.Effect<ReadonlyArray<Rejected>, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const rejected: Array<Rejected> = []
      const values = new Map<string, string>()
      const entries: Array<Entry> = []
      for (const [event, one] of batch.events.entries()) {
        if (one._tag !== "Params") continue
        for (const param of MlflowMapping.params(one.params)) {
          const known = values.get(param.key)
          if (known === param.value) continue
          if (known !== undefined) {
            const reason = `Param ${param.key} has the value ${short(known)} already, and ${short(param.value)} was logged.`
            rejected.push({ event, index: 0, reason })
            continue
          }
          values.set(param.key, param.value)
          const path = MlflowMapping.paramFile(param.key)
          const value = MlflowMapping.shortened(param.value, paramValueLength, path)
          const refused = value === param.value ? undefined : yield* this.put(textFile(path, param.value))
          if (refused === undefined) entries.push(MlflowMapping.entry({ key: param.key, value }, param.key, event))
          else rejected.push({ event, index: 0, reason: `Param ${param.key} is too long: ${refused}` })
        }
      }
      return [...rejected, ...(yield* this.offerAll("params", entries, paramsPerBatch))]
    })
  }

  // ---- tags ----

  private tags(
    batch: Batch,
    told: ReadonlyArray<readonly [string, Series]>
  ): Effect.Effect<ReadonlyArray<Rejected>, BackendError> {
    const changes = new Map<string, Change>()
    for (const [key, series] of told) {
      const name = `tracelet.series.${key.slice(-16)}`
      changes.set(name, { key: name, value: JSON.stringify(series), event: -1 })
    }
    for (const [event, one] of batch.events.entries()) {
      if (one._tag !== "Tags") continue
      for (const change of MlflowMapping.tags(one.tags)) changes.set(change.key, { ...change, event })
    }
    return this.sendTags(changes)
  }

  private sendTags(changes: ReadonlyMap<string, Change>): Effect.Effect<ReadonlyArray<Rejected>, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const rejected: Array<Rejected> = []
      const entries: Array<Entry> = []
      for (const { event, key, value } of changes.values()) {
        if (value === null) {
          yield* this.client.deleteTag(this.id, key)
          continue
        }
        const path = MlflowMapping.tagFile(key)
        const fitting = MlflowMapping.shortened(value, tagValueLength, path)
        const refused = fitting === value ? undefined : yield* this.put(textFile(path, value))
        if (refused === undefined) entries.push(MlflowMapping.entry({ key, value: fitting }, key, event))
        else rejected.push({ event, index: 0, reason: `Tag ${key} is too long: ${refused}` })
      }
      return [...rejected, ...(yield* this.offerAll("tags", entries, tagsPerBatch))]
    })
  }

  private rename(batch: Batch): Effect.Effect<void, BackendError> {
    const names = batch.events.filter((event) => event._tag === "Renamed").filter(({ time }) => time >= this.renamedAt)
    const last = names.toSorted((a, b) => a.time - b.time).at(-1)
    if (last === undefined) return Effect.void
    const run_name = [...MlflowMapping.storable(last.name)].slice(0, runNameLength).join("")
    return Effect.map(this.client.updateRun({ run_id: this.id, run_name }), () => void (this.renamedAt = last.time))
  }

  // ---- files ----

  private files(batch: Batch): Effect.Effect<ReadonlyArray<Rejected>, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const rejected: Array<Rejected> = []
      const tables = new Set(this.tables)
      let hasImages = this.hasImages
      for (const [event, one] of batch.events.entries()) {
        if (one._tag === "PointBatch") continue
        const identity = { run: this.open.run.id, writer: batch.writer, position: one.position }
        const wanted = filesOf(one, identity)
        const refused = yield* Effect.forEach(wanted.files, (file) => this.put(file))
        if (wanted.inputs.length > 0) refused.push(reasonOf(yield* this.client.logInputs(this.id, wanted.inputs)))
        const [reason] = refused.filter((text) => text !== undefined)
        if (reason !== undefined) rejected.push({ event, index: 0, reason })
        for (const path of wanted.tables) tables.add(JSON.stringify({ path, type: "table" }))
        hasImages ||= wanted.hasImages
      }
      const marks: Array<readonly [string, string]> = []
      if (hasImages && !this.hasImages) marks.push(["mlflow.loggedImages", "True"])
      if (tables.size > this.tables.length) marks.push([loggedArtifacts, listed([...tables])])
      yield* this.sendTags(new Map(marks.map(([key, value]) => [key, { key, value, event: 0 }])))
      this.hasImages = hasImages
      this.tables = [...tables]
      return rejected
    })
  }

  /** Resolves with why there is no place for it. */
  private put(file: File): Effect.Effect<string | undefined, BackendError> {
    const { content, mediaType, path } = file
    const place = { run: this.id, artifactUri: this.artifactUri }
    if ("text" in content) {
      const bytes = Buffer.from(content.text)
      const upload = { path, mediaType, bytes: bytes.length, content: Stream.make(bytes) }
      return Effect.map(this.client.artifacts.put(place, upload), reasonOf)
    }
    const blob = this.open.blob(content.digest)
    return Effect.matchEffect(Stream.runDrain(Stream.take(blob, 1)), {
      onFailure: (error: StorageError) => Effect.succeed(`The bytes of ${path} are gone here: ${error.message}`),
      onSuccess: () =>
        Effect.map(this.client.artifacts.put(place, { path, mediaType, bytes: content.bytes, content: blob }), reasonOf)
    })
  }

  // ---- requests ----

  private offerAll(
    kind: Kind,
    entries: ReadonlyArray<Entry>,
    most?: number
  ): Effect.Effect<ReadonlyArray<Rejected>, BackendError> {
    return Effect.map(
      Effect.forEach(MlflowMapping.split(entries, most), (part) => this.offer(kind, part)),
      (parts) => parts.flat()
    )
  }

  /** A request that is refused is halved until what is refused stands alone, or at once where the server names it. */
  private offer(kind: Kind, entries: ReadonlyArray<Entry>): Effect.Effect<ReadonlyArray<Rejected>, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const [first] = entries
      if (first === undefined) return []
      const what = `log ${entries.length} ${kind} of run ${this.id}`
      const refused = yield* this.client.logBatch(what, MlflowMapping.body(this.id, kind, entries))
      if (refused === undefined) return []
      if (entries.length === 1) {
        const { event, index, name } = first
        return [{ event, index, reason: `MLflow refuses ${name}: ${short(refused.message)}` }]
      }
      const named = Number(new RegExp(`${kind}\\[(\\d+)\\]`).exec(refused.message)?.[1] ?? Number.NaN)
      const middle = Math.ceil(entries.length / 2)
      const parts =
        named < entries.length
          ? [entries.slice(named, named + 1), entries.toSpliced(named, 1)]
          : [entries.slice(0, middle), entries.slice(middle)]
      return (yield* Effect.forEach(parts, (part) => this.offer(kind, part))).flat()
    })
  }

  /** The whole of tags that were cut when the run was made. */
  private wholeTags(event: number) {
    const changes = MlflowMapping.tags(this.open.run.tags).filter(
      ({ value }) => [...(value ?? "")].length > tagValueLength
    )
    return this.sendTags(new Map(changes.map((change) => [change.key, { ...change, event }])))
  }
}

interface Change extends MlflowMapping.TagChange {
  readonly event: number
}

/** MLflow's words for them; of a run of another host that may be over it says no more than it knows. */
const statuses = {
  running: "RUNNING",
  stale: "RUNNING",
  finished: "FINISHED",
  failed: "FAILED",
  killed: "KILLED"
} as const

const textFile = (path: string, text: string): File => ({ path, mediaType: "text/plain", content: { text } })

/** Most of a reason that is the server's. */
const reasonLength = 500

const short = (text: string): string => (text.length > reasonLength ? `${text.slice(0, reasonLength)}…` : text)

const reasonOf = (refused: Refusal | undefined): string | undefined =>
  refused === undefined
    ? undefined
    : short([refused.code, refused.message].filter((part) => part !== "").join(": ") || `status ${refused.status}`)

const tablesIn = (tag: string | undefined): ReadonlyArray<string> => {
  try {
    const list: unknown = JSON.parse(tag ?? "[]")
    return Array.isArray(list) ? list.map((one) => JSON.stringify(one)) : []
  } catch {
    return []
  }
}

/** As many of the newest as a tag holds. */
const listed = (tables: ReadonlyArray<string>): string => {
  let from = tables.length
  let length = 2
  while (from > 0 && length + (tables[from - 1]?.length ?? 0) + 2 <= tagValueLength) {
    from--
    length += (tables[from]?.length ?? 0) + 2
  }
  return `[${tables.slice(from).join(", ")}]`
}

/** An event that is no batch of points is refused once, however many reasons there are; what is nobody's is not told. */
const onePerEvent = (rejected: ReadonlyArray<Rejected>): ReadonlyArray<Rejected> => [
  ...new Map(rejected.filter(({ event }) => event >= 0).map((one) => [`${one.event} ${one.index}`, one])).values()
]
