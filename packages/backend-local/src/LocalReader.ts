/**
 * Reads the local store: runs, params, tags, series with their summaries, points as columns, and everything else a run logged. It has a
 * read-only connection of its own, so it never blocks the writer; what one call returns comes of one transaction of the writer's.
 *
 * A store that does not exist reads as an empty one. A run that does not exist has no params, no series, no points; only `find` fails.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Confirmed } from "@tracelet/core/Backend"
import type { BackendError } from "@tracelet/core/BackendError"
import type { Counts } from "@tracelet/core/Cursor"
import type { Json } from "@tracelet/core/JsonObject"
import type { Status } from "@tracelet/core/Run"
import type { Artifact, Console, Media, Text } from "@tracelet/core/RunEvent"
import type { SeriesContext } from "@tracelet/core/SeriesContext"
import type { RunAmbiguous, RunNotFound } from "./RunLookup.ts"

/** One run, as the store knows it. */
export interface RunRow {
  readonly id: string
  readonly project: string
  readonly name: string
  /** As the last `close` said, `running` before it and after later writes. Whether writers live is the journal's to know. */
  readonly status: Status
  /** Seconds since the Unix epoch. */
  readonly startedAt: number
  /** Seconds since the Unix epoch; `null` while running. */
  readonly endedAt: number | null
  /** By key; the latest value of each. */
  readonly tags: ReadonlyMap<string, string>
  /** Points the store holds. */
  readonly points: number
  readonly counts: Counts
  readonly closed: boolean
}

export interface RunsQuery {
  readonly project?: string
  readonly status?: Status
  /** Runs that have this tag; with `value`, those where it has that value. */
  readonly tag?: { readonly key: string; readonly value?: string }
  /** Default `newest`: by start. `name`: by project, then name, then newest. */
  readonly sort?: "newest" | "oldest" | "name"
  /** Default: all. */
  readonly limit?: number
}

/** One series of one run: what `show` prints, without a look at its points. */
export interface SeriesSummary {
  /** Names the series in `points`; good for as long as the run is not rebuilt. */
  readonly id: number
  readonly name: string
  readonly context: SeriesContext
  /** All points, the `nans` among them. */
  readonly points: number
  readonly nans: number
  /** Of all that are not NaN, infinities included; NaN when there is none. −0 counts as less than 0. */
  readonly min: number
  readonly max: number
  /** The last point in the order logged. `time` in seconds since the Unix epoch. */
  readonly last: { readonly step: number; readonly value: number; readonly time: number }
  /** Least and greatest time of any point, seconds since the Unix epoch. */
  readonly firstTime: number
  readonly lastTime: number
}

/**
 * Points in columns of length `count`, in the order logged: by time across writers, and never against the order of one writer. Steps are
 * whole numbers; repeats and late ones stay where they are. Times in seconds since the Unix epoch.
 */
export interface Columns {
  readonly count: number
  readonly steps: Float64Array
  readonly values: Float64Array
  readonly times: Float64Array
}

export interface PointsQuery {
  /**
   * At most this many buckets, of equally many consecutive points each. Of a bucket stay its first minimum, its first maximum and its
   * first NaN, as they were logged and in that order; the first and the last point of all stay too. So up to 3 × buckets + 2 points come
   * back, a spike is never lost, and NaN shows where there was one. Left out: all points.
   */
  readonly buckets?: number
  /** Inclusive. */
  readonly fromStep?: number
  /** Inclusive. */
  readonly toStep?: number
}

export interface Points extends Columns {
  /** How many points there are between the steps asked for; more than `count` when down-sampled. */
  readonly total: number
}

/** One value that a param had. `time` in seconds since the Unix epoch. */
export interface ParamValue {
  readonly key: string
  readonly value: Json
  readonly time: number
  readonly writer: string
}

export class LocalReader extends Context.Service<
  LocalReader,
  {
    readonly runs: (query?: RunsQuery) => Effect.Effect<ReadonlyArray<RunRow>, BackendError>
    /** An id, a unique prefix of one, a name (the newest), or `project/name`. */
    readonly find: (query: string) => Effect.Effect<RunRow, BackendError | RunNotFound | RunAmbiguous>
    /** The latest value of each key; keys sorted. */
    readonly params: (run: string) => Effect.Effect<ReadonlyMap<string, Json>, BackendError>
    /** Every value of every param: keys sorted, then in the order logged. */
    readonly paramHistory: (run: string) => Effect.Effect<ReadonlyArray<ParamValue>, BackendError>
    /** The latest value of each key; keys sorted. */
    readonly tags: (run: string) => Effect.Effect<ReadonlyMap<string, string>, BackendError>
    /** One entry per (name, context), sorted by name, then by the context's JSON. */
    readonly series: (run: string) => Effect.Effect<ReadonlyArray<SeriesSummary>, BackendError>
    /** `series` is a `SeriesSummary.id` of this run; another one has no points. */
    readonly points: (run: string, series: number, query?: PointsQuery) => Effect.Effect<Points, BackendError>
    /** The same in pieces, for exports: memory stays bounded however long the series is. */
    readonly pointColumns: (
      run: string,
      series: number,
      query?: Omit<PointsQuery, "buckets">
    ) => Stream.Stream<Columns, BackendError>
    /** These four are in the order logged. */
    readonly texts: (run: string) => Stream.Stream<Text, BackendError>
    readonly media: (run: string) => Stream.Stream<Media, BackendError>
    readonly artifacts: (run: string) => Stream.Stream<Artifact, BackendError>
    readonly console: (run: string) => Stream.Stream<Console, BackendError>
    /** How far the store has confirmed the run; nothing when it does not know it. */
    readonly confirmed: (run: string) => Effect.Effect<Confirmed | undefined, BackendError>
  }
>()("@tracelet/backend-local/LocalReader") {}
