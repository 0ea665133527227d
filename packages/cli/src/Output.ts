/**
 * What the commands print with `--json`: each shape a Schema, so that a program that reads it can be held to the same words. Numbers that
 * JSON cannot hold are the texts `"NaN"`, `"Infinity"` and `"-Infinity"`; `Schema.toCodecJson` of these reads them back.
 *
 * A published shape only ever gains keys.
 */
import * as Schema from "effect/Schema"
import { BackendStanding } from "@tracelet/core/BackendStanding"
import { Losses } from "@tracelet/core/Cursor"
import { State as DeadLetterState } from "@tracelet/core/DeadLetter"
import { JsonObject, TextObject } from "@tracelet/core/JsonObject"
import { Status } from "@tracelet/core/Run"
import { SeriesContext } from "@tracelet/core/SeriesContext"

/** ISO 8601, UTC, milliseconds. */
const Time = Schema.String

/** One backend's part in a run. */
export const Backend = Schema.Struct({
  ...BackendStanding.fields,
  /** What could not be read of the run's journals, known once it is closed there; left out when that is nothing. */
  losses: Schema.optionalKey(Losses)
})
export interface Backend extends Schema.Schema.Type<typeof Backend> {}

export const Backends = Schema.Record(Schema.String, Backend)
export type Backends = typeof Backends.Type

const named = { id: Schema.String, project: Schema.String, name: Schema.String }

/** What is known of a run without its backends: the first line of an export. */
export const runFields = {
  ...named,
  status: Status,
  startedAt: Time,
  endedAt: Schema.NullOr(Time),
  tags: TextObject,
  points: Schema.Int
}

/** `tracelet runs --json` is an array of these. */
export const Run = Schema.Struct({ ...runFields, backends: Backends })
export interface Run extends Schema.Schema.Type<typeof Run> {}

export const Runs = Schema.Array(Run)

const summaryFields = {
  points: Schema.Int,
  nans: Schema.Int,
  min: Schema.Number,
  max: Schema.Number,
  last: Schema.Struct({ step: Schema.Int, value: Schema.Number, time: Schema.Finite })
}

export const Series = Schema.Struct({ name: Schema.String, context: SeriesContext, ...summaryFields })
export interface Series extends Schema.Schema.Type<typeof Series> {}

/** `input`: what the run used it for, `""` where that is not said; left out of what the run made. */
export const ArtifactSummary = Schema.Struct({
  name: Schema.String,
  type: Schema.String,
  files: Schema.Int,
  bytes: Schema.Int,
  references: Schema.Array(Schema.String),
  input: Schema.optionalKey(Schema.String)
})
export interface ArtifactSummary extends Schema.Schema.Type<typeof ArtifactSummary> {}

export const MediaSummary = Schema.Struct({
  kind: Schema.String,
  name: Schema.String,
  context: SeriesContext,
  count: Schema.Int,
  lastStep: Schema.Int,
  bytes: Schema.Int
})
export interface MediaSummary extends Schema.Schema.Type<typeof MediaSummary> {}

/** `tracelet artifacts RUN --json`; `copied`, with `--to`: where each file lies in that folder. */
export const Artifacts = Schema.Struct({
  artifacts: Schema.Array(ArtifactSummary),
  media: Schema.Array(MediaSummary),
  copied: Schema.optionalKey(Schema.Array(Schema.String))
})
export interface Artifacts extends Schema.Schema.Type<typeof Artifacts> {}

/** `tracelet show RUN --json` */
export const Show = Schema.Struct({
  ...Run.fields,
  dir: Schema.String,
  params: JsonObject,
  series: Schema.Array(Series),
  artifacts: Schema.Array(ArtifactSummary),
  media: Schema.Array(MediaSummary),
  /** Id of the run it is nested in. */
  parent: Schema.optionalKey(Schema.String),
  /** Of a run that failed or was killed, where its end record has them. */
  error: Schema.optionalKey(Schema.String),
  exitCode: Schema.optionalKey(Schema.Int)
})
export interface Show extends Schema.Schema.Type<typeof Show> {}

/** One series of two runs: null where a run has none. `difference`: of B less of A, where both have it. */
export const ComparedSeries = Schema.Struct({
  name: Schema.String,
  context: SeriesContext,
  a: Schema.NullOr(Schema.Struct(summaryFields)),
  b: Schema.NullOr(Schema.Struct(summaryFields)),
  difference: Schema.NullOr(Schema.Struct({ last: Schema.Number, min: Schema.Number, max: Schema.Number }))
})
export interface ComparedSeries extends Schema.Schema.Type<typeof ComparedSeries> {}

/** One param of two runs, by key; that of a nested one is its path with `/`. Left out where a run has none. */
export const ComparedParam = Schema.Struct({
  key: Schema.String,
  a: Schema.optionalKey(Schema.Json),
  b: Schema.optionalKey(Schema.Json),
  differs: Schema.Boolean
})
export interface ComparedParam extends Schema.Schema.Type<typeof ComparedParam> {}

/** `tracelet compare A B --json` */
export const Compare = Schema.Struct({
  a: Run,
  b: Run,
  params: Schema.Array(ComparedParam),
  series: Schema.Array(ComparedSeries)
})
export interface Compare extends Schema.Schema.Type<typeof Compare> {}

export const Agent = Schema.Struct({
  pid: Schema.Int,
  version: Schema.String,
  startedAt: Time,
  rssBytes: Schema.Int,
  /** Ids of the runs it has in hand. */
  runs: Schema.Array(Schema.String)
})
export interface Agent extends Schema.Schema.Type<typeof Agent> {}

/** `tracelet agent status --json` */
export const AgentStatus = Schema.Struct({ dir: Schema.String, agent: Schema.NullOr(Agent) })
export interface AgentStatus extends Schema.Schema.Type<typeof AgentStatus> {}

/** `tracelet agent start --json`. `started`: by this command; else one was running. `log`: path of its log. */
export const AgentStarted = Schema.Struct({
  dir: Schema.String,
  started: Schema.Boolean,
  log: Schema.String,
  agent: Agent
})
export interface AgentStarted extends Schema.Schema.Type<typeof AgentStarted> {}

const { delivered, pending, deadLetter } = BackendStanding.fields

/** Events of one backend over several runs. `runs`: how many have something pending there. */
export const BackendSum = Schema.Struct({
  delivered,
  pending,
  deadLetter,
  runs: Schema.Int,
  /** What stands in the way, each once. */
  reasons: Schema.Array(Schema.String),
  losses: Schema.optionalKey(Losses)
})
export interface BackendSum extends Schema.Schema.Type<typeof BackendSum> {}

export const BackendSums = Schema.Record(Schema.String, BackendSum)

/**
 * `tracelet agent stop --json`. `stopped`: one was running. `running`: runs that nobody delivers now while they go on. `reason`: why
 * nothing is known of the runs, and none are in it.
 */
export const AgentStopped = Schema.Struct({
  dir: Schema.String,
  stopped: Schema.Boolean,
  running: Schema.Int,
  backends: BackendSums,
  reason: Schema.optionalKey(Schema.String)
})
export interface AgentStopped extends Schema.Schema.Type<typeof AgentStopped> {}

/** `tracelet status --json` */
export const FolderStatus = Schema.Struct({
  dir: Schema.String,
  runs: Schema.Int,
  running: Schema.Int,
  agent: Schema.NullOr(Agent),
  backends: BackendSums
})
export interface FolderStatus extends Schema.Schema.Type<typeof FolderStatus> {}

/**
 * `tracelet sync [RUN] --json`. `drained`: nothing is left to send. `runs`: those that had something to send, or the one asked for.
 * `unread`: those that cannot be read, with what came back; what is left of them is not known, so nothing is drained then.
 */
export const Sync = Schema.Struct({
  drained: Schema.Boolean,
  backends: BackendSums,
  runs: Schema.Array(
    Schema.Struct({
      ...named,
      status: Status,
      drained: Schema.Boolean,
      backends: Backends
    })
  ),
  unread: Schema.optionalKey(Schema.Array(Schema.Struct({ id: Schema.String, reason: Schema.String })))
})
export interface Sync extends Schema.Schema.Type<typeof Sync> {}

/** One run that is no more. `lost`: events that were not delivered, by backend. `deadLetter`: events that backends had refused. */
export const RemovedRun = Schema.Struct({
  ...named,
  points: Schema.Int,
  bytes: Schema.Int,
  deadLetter: Schema.Int,
  lost: Schema.Record(Schema.String, Schema.Int)
})
export interface RemovedRun extends Schema.Schema.Type<typeof RemovedRun> {}

/** `tracelet rm RUN… --json` */
export const Removed = Schema.Struct({ removed: Schema.Array(RemovedRun) })
export interface Removed extends Schema.Schema.Type<typeof Removed> {}

/** `kept`: it stays as it was, and `reason` says why. Bytes are of the files that were taken in, and of the archive. */
export const ArchivedRun = Schema.Struct({
  id: Schema.String,
  project: Schema.String,
  name: Schema.String,
  state: Schema.Literals(["archived", "unchanged", "kept"]),
  reason: Schema.optionalKey(Schema.String),
  bytesBefore: Schema.optionalKey(Schema.Int),
  bytesAfter: Schema.optionalKey(Schema.Int)
})
export interface ArchivedRun extends Schema.Schema.Type<typeof ArchivedRun> {}

/** `tracelet archive [RUN…] --json` */
export const Archived = Schema.Struct({ runs: Schema.Array(ArchivedRun) })
export interface Archived extends Schema.Schema.Type<typeof Archived> {}

/** `tracelet prune --json`. `removed`: the runs are gone; else they would go with `--yes`. `kept`: those the policy means and that stay. */
export const Pruned = Schema.Struct({
  removed: Schema.Boolean,
  runs: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      name: Schema.String,
      endedAt: Time,
      bytes: Schema.Int,
      why: Schema.Literals(["age", "bytes"])
    })
  ),
  kept: Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String, reason: Schema.String }))
})
export interface Pruned extends Schema.Schema.Type<typeof Pruned> {}

/** An event that a backend refused. `why`: of one that was given up. Values that JSON has no number for are texts. */
export const DeadLetter = Schema.Struct({
  run: Schema.String,
  name: Schema.String,
  backend: Schema.String,
  at: Time,
  state: DeadLetterState,
  reason: Schema.String,
  why: Schema.optionalKey(Schema.String),
  writer: Schema.String,
  position: Schema.Int,
  index: Schema.Int,
  event: JsonObject
})
export interface DeadLetter extends Schema.Schema.Type<typeof DeadLetter> {}

/** `tracelet dead-letter list [RUN] --json`. `damaged`: lines of the files that cannot be read. */
export const DeadLetters = Schema.Struct({
  letters: Schema.Array(DeadLetter),
  damaged: Schema.Array(
    Schema.Struct({ run: Schema.String, backend: Schema.String, line: Schema.Int, text: Schema.String })
  )
})
export interface DeadLetters extends Schema.Schema.Type<typeof DeadLetters> {}

/** `tracelet dead-letter retry RUN --json`: what became of the events that were sent again, by backend. `pending`: not sent yet. */
export const DeadLetterRetried = Schema.Struct({
  ...named,
  backends: Schema.Record(
    Schema.String,
    Schema.Struct({ delivered: Schema.Int, refused: Schema.Int, pending: Schema.Int })
  )
})
export interface DeadLetterRetried extends Schema.Schema.Type<typeof DeadLetterRetried> {}

/** `tracelet dead-letter drop RUN --json`: how many events were given up, by backend. */
export const DeadLetterDropped = Schema.Struct({
  ...named,
  why: Schema.String,
  backends: Schema.Record(Schema.String, Schema.Int)
})
export interface DeadLetterDropped extends Schema.Schema.Type<typeof DeadLetterDropped> {}

export const Check = Schema.Struct({
  name: Schema.String,
  state: Schema.Literals(["good", "warning", "bad"]),
  found: Schema.String,
  /** What to do; empty where all is well. */
  advice: Schema.String
})
export interface Check extends Schema.Schema.Type<typeof Check> {}

/** `tracelet doctor --json` */
export const Doctor = Schema.Struct({ dir: Schema.String, checks: Schema.Array(Check) })
export interface Doctor extends Schema.Schema.Type<typeof Doctor> {}

/** On stdout, with `--json`, whenever a command fails. */
export const Failure = Schema.Struct({
  error: Schema.Struct({ tag: Schema.String, message: Schema.String, hint: Schema.String })
})
export interface Failure extends Schema.Schema.Type<typeof Failure> {}

/** One key of a backend's config. `variables`: the first that is set counts; what it is set to is not said. */
export const BackendKey = Schema.Struct({
  name: Schema.String,
  description: Schema.String,
  required: Schema.Boolean,
  secret: Schema.Boolean,
  default: Schema.optionalKey(Schema.Json),
  variables: Schema.Array(Schema.Struct({ name: Schema.String, set: Schema.Boolean }))
})
export interface BackendKey extends Schema.Schema.Type<typeof BackendKey> {}

/** One of the backends that come with tracelet. */
export const BackendPlugin = Schema.Struct({
  name: Schema.String,
  plugin: Schema.String,
  version: Schema.String,
  stability: Schema.Literals(["experimental", "beta", "stable"]),
  description: Schema.String,
  keys: Schema.Array(BackendKey)
})
export interface BackendPlugin extends Schema.Schema.Type<typeof BackendPlugin> {}

/** `tracelet backends --json` */
export const BackendPlugins = Schema.Array(BackendPlugin)
