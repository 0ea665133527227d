/**
 * Reads the local store: runs, params, tags, series with their summaries, points as columns, and everything else a run logged. It has a
 * read-only connection of its own, so it never blocks the writer; what one call returns comes of one transaction of the writer's.
 *
 * A store that does not exist reads as an empty one. A run that does not exist has no params, no series, no points; only `find` fails.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type { Confirmed } from "@tracelet/core/Backend"
import type { BackendError } from "@tracelet/core/BackendError"
import type { Counts } from "@tracelet/core/Cursor"
import type { Json } from "@tracelet/core/JsonObject"
import type { Status } from "@tracelet/core/Run"
import { Artifact, Console, Media, Text } from "@tracelet/core/RunEvent"
import type { SeriesContext } from "@tracelet/core/SeriesContext"
import { fromFile, fromStore, type Access } from "./internal/access.ts"
import { concatenate } from "./internal/compact.ts"
import type { Connection } from "./internal/Connection.ts"
import { readEvents, readParams, readSeries } from "./internal/contents.ts"
import { DownSampler } from "./internal/DownSampler.ts"
import { findRun, readConfirmed } from "./internal/rows.ts"
import { findRunRow, readRuns, readTags } from "./internal/runRows.ts"
import { scan, type StepRange } from "./internal/scan.ts"
import { LocalStore } from "./LocalStore.ts"
import { RunAmbiguous, RunNotFound } from "./RunLookup.ts"

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
  /** Of all that are not NaN, infinities included; NaN when there is none. 0 and −0 are equal: the first stays. */
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
    /** The latest value of each key; keys in the order of their code points. */
    readonly params: (run: string) => Effect.Effect<ReadonlyMap<string, Json>, BackendError>
    /** Every value of every param: by key, then in the order logged. */
    readonly paramHistory: (run: string) => Effect.Effect<ReadonlyArray<ParamValue>, BackendError>
    /** The latest value of each key; keys in the order of their code points. */
    readonly tags: (run: string) => Effect.Effect<ReadonlyMap<string, string>, BackendError>
    /** One entry per (name, context), by name, then by the context's JSON, in the order of code points. */
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

/** Reads the store at `file`, an absolute path, by a connection of its own. */
export const layer = (options: { readonly file: string }): Layer.Layer<LocalReader> =>
  Layer.effect(LocalReader, Effect.map(fromFile(options.file), make))

/** Reads by the connection of a `LocalStore`, as a store in memory has to be. */
export const layerStore: Layer.Layer<LocalReader, never, LocalStore> = Layer.effect(
  LocalReader,
  Effect.map(LocalStore, (store) => make(fromStore(store)))
)

const make = (access: Access): LocalReader["Service"] => {
  /** `work` on the run of this id; `absent` when there is no store, or no such run. */
  const readRun = <A>(doing: string, id: string, absent: A, work: (connection: Connection, run: number) => A) =>
    access.read(`${doing} of run ${id}`, absent, (connection) => {
      const run = findRun(connection, id)
      return run === undefined ? absent : work(connection, run)
    })
  const streamRun = <A>(
    doing: string,
    id: string,
    work: (connection: Connection, run: number) => Iterable<ReadonlyArray<A>>
  ) =>
    access.stream(`${doing} of run ${id}`, (connection) => {
      const run = findRun(connection, id)
      return run === undefined ? [] : work(connection, run)
    })
  return {
    runs: (query = {}) => access.read("list runs", [], (connection) => readRuns(connection, query)),
    find: (query) =>
      access
        .read<RunRow | RunNotFound | RunAmbiguous>(
          `find run ${JSON.stringify(query)}`,
          new RunNotFound({ query, nearest: [] }),
          (connection) => findRunRow(connection, query)
        )
        .pipe(
          Effect.flatMap((found) =>
            found instanceof RunNotFound || found instanceof RunAmbiguous ? Effect.fail(found) : Effect.succeed(found)
          )
        ),
    params: (id) =>
      readRun<ReadonlyMap<string, Json>>(
        "read the params",
        id,
        new Map(),
        (connection, run) => new Map(readParams(connection, run).map(({ key, value }) => [key, value]))
      ),
    paramHistory: (id) => readRun<ReadonlyArray<ParamValue>>("read the params", id, [], readParams),
    tags: (id) => readRun<ReadonlyMap<string, string>>("read the tags", id, new Map(), readTags),
    series: (id) => readRun<ReadonlyArray<SeriesSummary>>("read the series", id, [], readSeries),
    points: (id, series, query = {}) =>
      readRun<Points>("read points", id, noPoints(), (connection, run) => {
        const blocks = scan(connection, run, series, toRange(query))
        return query.buckets === undefined ? collect(blocks) : downSample(blocks, query.buckets)
      }),
    pointColumns: (id, series, query = {}) =>
      streamRun("read points", id, function* (connection, run) {
        for (const block of scan(connection, run, series, toRange(query))) yield [block]
      }),
    texts: (id) => streamRun("read the texts", id, (connection, run) => readEvents(connection, run, "Text", Text)),
    media: (id) => streamRun("read the media", id, (connection, run) => readEvents(connection, run, "Media", Media)),
    artifacts: (id) =>
      streamRun("read the artifacts", id, (connection, run) => readEvents(connection, run, "Artifact", Artifact)),
    console: (id) =>
      streamRun("read the console", id, (connection, run) => readEvents(connection, run, "Console", Console)),
    confirmed: (id) => readRun<Confirmed | undefined>("read what is confirmed", id, undefined, readConfirmed)
  }
}

const toRange = ({ fromStep = -Infinity, toStep = Infinity }: PointsQuery): StepRange => ({ fromStep, toStep })

const noPoints = (): Points => ({ ...concatenate([], 0), total: 0 })

const collect = (blocks: Iterable<Columns>): Points => {
  const parts = [...blocks]
  const total = parts.reduce((sum, { count }) => sum + count, 0)
  return { ...concatenate(parts, total), total }
}

const downSample = (blocks: Iterable<Columns>, buckets: number): Points => {
  const sampler = new DownSampler(buckets)
  for (const block of blocks) sampler.push(block)
  return { ...sampler.result(), total: sampler.total }
}
