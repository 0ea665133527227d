/**
 * What flows through every pipeline: batches of points in columns, and between them, in the order of their writer, everything else.
 * There is no variant for a single point. Each JSON kind of journal.md §5 has its Schema here; the bytes are `internal/records.ts`'s.
 */
import * as Schema from "effect/Schema"
import { FilePath } from "./FilePath.ts"
import { JsonObject, TagChanges } from "./JsonObject.ts"
import { Id, Name } from "./Name.ts"
import { defaultName, defaultProject, EndStatus, Run, RunId, WriterId } from "./Run.ts"
import { SeriesContext } from "./SeriesContext.ts"
import type { SeriesTable } from "./Series.ts"

/** Seconds since the Unix epoch. */
const Time = Schema.Finite

const Step = Schema.Int

const Digest = Schema.String.check(Schema.isPattern(/^sha256:[0-9a-f]{64}$/))

/** How a run-started record names a backend: enough for another host to build it, without secrets. */
export const BackendReference = Schema.Struct({
  name: Id,
  plugin: Schema.String,
  version: Schema.String,
  config: JsonObject
})
export interface BackendReference extends Schema.Schema.Type<typeof BackendReference> {}

/** Where a run was begun, which services show as its source. What is not known is left out. */
export const Origin = Schema.Struct({
  /** The script or entry point, as it was called. */
  program: Schema.optionalKey(Schema.String),
  user: Schema.optionalKey(Schema.String),
  host: Schema.optionalKey(Schema.String),
  git: Schema.optionalKey(
    Schema.Struct({
      commit: Schema.String,
      branch: Schema.optionalKey(Schema.String),
      /** URL of the remote, without user info. */
      remote: Schema.optionalKey(Schema.String),
      isDirty: Schema.optionalKey(Schema.Boolean)
    })
  )
})
export interface Origin extends Schema.Schema.Type<typeof Origin> {}

/** The span a run was begun under, as W3C Trace Context writes ids. */
export const TraceReference = Schema.Struct({
  traceId: Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/)),
  spanId: Schema.String.check(Schema.isPattern(/^[0-9a-f]{16}$/))
})
export interface TraceReference extends Schema.Schema.Type<typeof TraceReference> {}

export const RunStarted = Schema.TaggedStruct("RunStarted", {
  time: Time,
  run: Run,
  backends: Schema.Array(BackendReference),
  client: Schema.Struct({ language: Schema.String, version: Schema.String, tracelet: Schema.String }),
  rank: Schema.optionalKey(Schema.Int),
  /** Id of the run it is nested in. */
  parent: Schema.optionalKey(RunId),
  origin: Schema.optionalKey(Origin),
  trace: Schema.optionalKey(TraceReference)
})
export interface RunStarted extends Schema.Schema.Type<typeof RunStarted> {}

/** What a run-started record says; what is left out is as in a run that was given none of it, and written by nobody known. */
export interface Start
  extends Partial<Omit<Run, "id">>, Partial<Pick<RunStarted, "backends" | "client" | "origin" | "parent" | "trace">> {
  /** Seconds since the Unix epoch. */
  readonly time: number
}

export const runStarted = (
  id: RunId,
  {
    time,
    project = defaultProject,
    name = defaultName(id),
    tags = {},
    backends = [],
    client = { language: "", version: "", tracelet: "" },
    origin,
    parent,
    trace
  }: Start
): RunStarted => ({
  _tag: "RunStarted",
  time,
  run: { id, project, name, tags },
  backends,
  client,
  ...(origin === undefined ? {} : { origin }),
  ...(parent === undefined ? {} : { parent }),
  ...(trace === undefined ? {} : { trace })
})

export const RunFinished = Schema.TaggedStruct("RunFinished", {
  time: Time,
  status: EndStatus,
  exitCode: Schema.optionalKey(Schema.Int),
  error: Schema.optionalKey(Schema.String)
})
export interface RunFinished extends Schema.Schema.Type<typeof RunFinished> {}

export const Heartbeat = Schema.TaggedStruct("Heartbeat", { time: Time })
export interface Heartbeat extends Schema.Schema.Type<typeof Heartbeat> {}

export const Params = Schema.TaggedStruct("Params", { time: Time, params: JsonObject })
export interface Params extends Schema.Schema.Type<typeof Params> {}

export const Tags = Schema.TaggedStruct("Tags", { time: Time, tags: TagChanges })
export interface Tags extends Schema.Schema.Type<typeof Tags> {}

export const Text = Schema.TaggedStruct("Text", {
  time: Time,
  name: Name,
  context: SeriesContext,
  step: Step,
  text: Schema.String
})
export interface Text extends Schema.Schema.Type<typeof Text> {}

export const mediaKinds = [
  "image",
  "histogram",
  "figure",
  "audio",
  "video",
  "embedding",
  "mesh",
  "pr_curve",
  "table"
] as const

export type MediaKind = (typeof mediaKinds)[number]

/** Most counts of a histogram (J5.11). */
export const histogramCountsMax = 4_096

const Bytes = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export const Media = Schema.TaggedStruct("Media", {
  time: Time,
  name: Name,
  context: SeriesContext,
  step: Step,
  kind: Schema.Literals(mediaKinds),
  mediaType: Schema.String,
  digest: Digest,
  bytes: Bytes,
  edges: Schema.optionalKey(Schema.Array(Schema.Finite).check(Schema.isMaxLength(histogramCountsMax + 1))),
  counts: Schema.optionalKey(Schema.Array(Schema.Finite).check(Schema.isMaxLength(histogramCountsMax)))
})
export interface Media extends Schema.Schema.Type<typeof Media> {}

/** What an artifact may be; journals of later versions may know more. */
export const artifactTypes = [
  "model",
  "checkpoint",
  "weights",
  "dataset",
  "sample",
  "image",
  "audio",
  "video",
  "viz",
  "report",
  "config",
  "code",
  "custom"
] as const

export type ArtifactType = (typeof artifactTypes)[number]

/** What the run used an artifact for, rather than made it: a dataset it was trained on (J5.16). */
export const Input = Schema.Struct({
  /** `training`, `evaluation`, … */
  context: Schema.optionalKey(Schema.String),
  /** Tells versions of the data apart, in the terms of whoever keeps it. */
  digest: Schema.optionalKey(Schema.String),
  /** `local`, `http`, `s3`, `huggingface`, …; the URI itself is the artifact's first reference. */
  sourceType: Schema.optionalKey(Schema.String),
  schema: Schema.optionalKey(Schema.Json),
  profile: Schema.optionalKey(Schema.Json)
})
export interface Input extends Schema.Schema.Type<typeof Input> {}

export const ArtifactFile = Schema.Struct({ path: FilePath, digest: Digest, bytes: Bytes })
export interface ArtifactFile extends Schema.Schema.Type<typeof ArtifactFile> {}

/** Most files, and most references, of one artifact (J5.15). */
export const artifactFilesMax = 100_000

export const Artifact = Schema.TaggedStruct("Artifact", {
  time: Time,
  /** Where it lies among the run's artifacts, as `placeOf` says. */
  name: Name,
  type: Schema.String,
  files: Schema.Array(ArtifactFile).check(Schema.isMaxLength(artifactFilesMax)),
  references: Schema.Array(Schema.String).check(Schema.isMaxLength(artifactFilesMax)),
  description: Schema.optionalKey(Schema.String),
  metadata: Schema.optionalKey(JsonObject),
  input: Schema.optionalKey(Input)
})
export interface Artifact extends Schema.Schema.Type<typeof Artifact> {}

/** Where a file lies among the run's artifacts: a single file that the artifact is named after there, others in a folder of its name (J5.15). */
export const placeOf = ({ name, files }: Pick<Artifact, "name" | "files">, path: string): string =>
  files.length === 1 && (name === path || name.endsWith(`/${path}`)) ? name : `${name}/${path}`

export const Console = Schema.TaggedStruct("Console", {
  time: Time,
  stream: Schema.Literals(["stdout", "stderr"]),
  text: Schema.String
})
export interface Console extends Schema.Schema.Type<typeof Console> {}

/** Another name for the run (J5.14); the one of the greatest time shows. */
export const Renamed = Schema.TaggedStruct("Renamed", { time: Time, name: Name })
export interface Renamed extends Schema.Schema.Type<typeof Renamed> {}

/**
 * How far a derived journal has read one of its inputs. `joined`: it has taken a point of it in; `ended`: and knows that there are no more.
 */
export const Consumed = Schema.Struct({
  position: Schema.Int,
  index: Schema.Int,
  phase: Schema.Literals(["silent", "joined", "ended"])
})
export interface Consumed extends Schema.Schema.Type<typeof Consumed> {}

/** Commits the records of a derived journal from position `from` up to here (J5.13). */
export const Derived = Schema.TaggedStruct("Derived", {
  /** Id of its plugin. */
  processor: Schema.String,
  version: Schema.String,
  config: JsonObject,
  from: Schema.Int,
  consumed: Schema.Record(WriterId, Consumed),
  /** What the processor holds, having read as far. */
  state: Schema.Json
})
export interface Derived extends Schema.Schema.Type<typeof Derived> {}

/** Everything but points, as its writer gave it. */
export const Payload = Schema.Union([
  RunStarted,
  RunFinished,
  Heartbeat,
  Params,
  Tags,
  Text,
  Media,
  Artifact,
  Console,
  Renamed,
  Derived
])
export type Payload = typeof Payload.Type

/**
 * `count` points of one writer in the order logged, in columns of that length. `(positions[i], indices[i])` with the writer is the identity
 * of point i (J3.5). The columns may be views on a larger buffer; who keeps them copies them.
 */
export interface PointBatch {
  readonly _tag: "PointBatch"
  readonly count: number
  /** Number of each point's series, to be looked up in `table`. */
  readonly series: Uint32Array
  /** Whole numbers within ±(2^53 − 1). */
  readonly steps: Float64Array
  readonly values: Float64Array
  /** Seconds since the Unix epoch. */
  readonly times: Float64Array
  readonly positions: Float64Array
  readonly indices: Uint16Array
  readonly table: SeriesTable
}

/** An event that is not a batch of points, with the position of its record. */
export type Single = Payload & { readonly position: number }

export type RunEvent = PointBatch | Single

/** The kinds a route can choose between and a backend can declare. */
export const kinds = ["points", "params", "tags", "text", "media", "artifacts", "console", "names"] as const
export type Kind = (typeof kinds)[number]

const kindByTag: { readonly [Tag in RunEvent["_tag"]]: Kind | undefined } = {
  PointBatch: "points",
  Params: "params",
  Tags: "tags",
  Text: "text",
  Media: "media",
  Artifact: "artifacts",
  Console: "console",
  Renamed: "names",
  RunStarted: undefined,
  RunFinished: undefined,
  Heartbeat: undefined,
  Derived: undefined
}

/** The kind of an event, or `undefined` for those that carry no data of the user's and reach backends by `open` and `close`. */
export const kindOf = (event: RunEvent): Kind | undefined => kindByTag[event._tag]

/** How many events it counts for: each point is one; what has no kind is none (J7.8). */
export const countOf = (event: RunEvent): number =>
  event._tag === "PointBatch" ? event.count : kindOf(event) === undefined ? 0 : 1

/** Points `from` (inclusive) to `to` (exclusive) of a batch, as views. */
export const slice = (batch: PointBatch, from: number, to: number): PointBatch => ({
  _tag: "PointBatch",
  count: Math.min(to, batch.count) - from,
  series: batch.series.subarray(from, to),
  steps: batch.steps.subarray(from, to),
  values: batch.values.subarray(from, to),
  times: batch.times.subarray(from, to),
  positions: batch.positions.subarray(from, to),
  indices: batch.indices.subarray(from, to),
  table: batch.table
})

/** The points of a batch for which `keep` holds, in order; the batch itself when it holds for all. */
export const select = (batch: PointBatch, keep: (index: number) => boolean): PointBatch => {
  const kept: Array<number> = []
  for (let i = 0; i < batch.count; i++) if (keep(i)) kept.push(i)
  if (kept.length === batch.count) return batch
  const pick = (column: Float64Array) => Float64Array.from(kept, (i) => column[i] ?? NaN)
  return {
    _tag: "PointBatch",
    count: kept.length,
    series: Uint32Array.from(kept, (i) => batch.series[i] ?? 0),
    steps: pick(batch.steps),
    values: pick(batch.values),
    times: pick(batch.times),
    positions: pick(batch.positions),
    indices: Uint16Array.from(kept, (i) => batch.indices[i] ?? 0),
    table: batch.table
  }
}
