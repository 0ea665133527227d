/** Which run of the server a run of ours is: found again, attached to, or made. */
import * as Effect from "effect/Effect"
import type { OpenRun } from "@tracelet/core/Backend"
import { held, type BackendError } from "@tracelet/core/BackendError"
import type { Origin } from "@tracelet/core/RunEvent"
import type { Run, Tag } from "../MlflowApi.ts"
import type { MlflowClient } from "../MlflowClient.ts"
import type { MlflowConfig } from "../MlflowConfig.ts"
import * as MlflowName from "../MlflowName.ts"
import * as MlflowMapping from "../MlflowMapping.ts"
import { experimentNameLength, runNameLength, tagValueLength } from "./limits.ts"

type Client = MlflowClient["Service"]

/** Names our run, so that one that was made is found again whatever became of the answer. */
const runIdTag = "tracelet.run_id"

export interface Found {
  readonly run: Run
  /** Whether it may lack what goes with a new run but is not part of the call that makes it. */
  readonly isFresh: boolean
  /** Our id of the run it is nested in, where nothing is known of that there yet. */
  readonly orphanOf: string | undefined
}

export const findRun = (client: Client, config: MlflowConfig, open: OpenRun): Effect.Effect<Found, BackendError> =>
  Effect.gen(function* () {
    if (open.remote !== null) {
      const run = yield* existing(client, open.remote, "It was made for this run. It is gone there for good")
      return { run, isFresh: false, orphanOf: orphan(open, run) }
    }
    // MLFLOW_RUN_ID is meant for the run that a program begins, not for those nested in it.
    if (config.runId !== undefined && open.started.parent === undefined) {
      const run = yield* existing(client, config.runId, "It was to be logged into. Correct `runId` (MLFLOW_RUN_ID)")
      return { run, isFresh: true, orphanOf: undefined }
    }
    const experiment = yield* findExperiment(client, config, open.run.project)
    const parent = yield* parentOf(client, open, experiment)
    const detail = { experiment, run: open.run.id }
    const run = yield* open.once("create run", detail, () =>
      Effect.gen(function* () {
        // Also where no call is in doubt: the cursor may have been lost, or another host have made it.
        const [found] = yield* client.runsByTag(experiment, runIdTag, open.run.id)
        return found ?? (yield* client.createRun(creation(config, open, experiment, parent)))
      })
    )
    return { run, isFresh: true, orphanOf: parent === undefined ? open.started.parent : undefined }
  })

const existing = (client: Client, id: string, advice: string): Effect.Effect<Run, BackendError> =>
  Effect.flatMap(client.run(id), (run) => {
    if (run === undefined) return held("mlflow", `mlflow knows no run ${id}. ${advice}.`)
    return run.info.lifecycle_stage === "deleted"
      ? held("mlflow", `Run ${id} was deleted in MLflow: restore it (mlflow runs restore --run-id ${id}).`)
      : Effect.succeed(run)
  })

const findExperiment = (client: Client, config: MlflowConfig, project: string): Effect.Effect<string, BackendError> =>
  Effect.gen(function* () {
    const { experimentId, artifactLocation } = config
    const name = cut(config.experiment ?? project, experimentNameLength)
    const look = experimentId === undefined ? client.experimentByName(name) : client.experimentById(experimentId)
    let experiment = yield* look
    if (experiment === undefined) {
      if (experimentId !== undefined) {
        return yield* held(
          "mlflow",
          `mlflow knows no experiment ${experimentId}. Correct \`experimentId\` (MLFLOW_EXPERIMENT_ID).`
        )
      }
      const made = yield* client.createExperiment(name, artifactLocation)
      if (made !== undefined) return made
      // Somebody else made it in between.
      experiment = yield* look
    }
    if (experiment === undefined || experiment.lifecycle_stage === "deleted") {
      return yield* held(
        "mlflow",
        `Experiment ${name} was deleted in MLflow, where it keeps its name: restore it (mlflow experiments restore), or configure another.`
      )
    }
    return experiment.experiment_id
  })

const cut = (text: string, length: number): string => {
  const characters = [...text]
  if (characters.length <= length) return text
  return `${characters.slice(0, length - 17).join("")}~${MlflowName.digest(text)}`
}

/** Id there of the run it is nested in. */
export const parentOf = (
  client: Client,
  open: OpenRun,
  experiment: string
): Effect.Effect<string | undefined, BackendError> =>
  Effect.gen(function* () {
    const { parent } = open.started
    if (parent === undefined) return undefined
    const remote = yield* open.remoteOf(parent)
    if (remote !== null) return remote
    const [found] = yield* client.runsByTag(experiment, runIdTag, parent)
    return found?.info.run_id
  })

/** The run it is nested in, where it does not say so yet. */
const orphan = (open: OpenRun, run: Run): string | undefined =>
  run.data?.tags?.some(({ key }) => key === "mlflow.parentRunId") === true ? undefined : open.started.parent

const creation = (config: MlflowConfig, open: OpenRun, experiment: string, parent: string | undefined) => {
  const { "mlflow.runName": named, ...tags } = open.run.tags
  const name = config.runName ?? named ?? open.run.name
  const start: ReadonlyArray<Tag> = [
    ...ownTags(open),
    ...originTags(open.started.origin),
    ...(parent === undefined ? [] : [{ key: "mlflow.parentRunId", value: parent }]),
    ...(cut(name, runNameLength) === name ? [] : [{ key: "tracelet.name", value: name }])
  ]
  return {
    experiment_id: experiment,
    start_time: MlflowMapping.milliseconds(open.startedAt),
    run_name: cut(name, runNameLength),
    tags: unique([...start, ...userTags(tags)])
  }
}

/** What is told of a run that was made by somebody else. */
export const attachedTags = (open: OpenRun): ReadonlyArray<Tag> =>
  unique([...ownTags(open), ...userTags(open.run.tags)])

const ownTags = ({ run, started }: OpenRun): ReadonlyArray<Tag> => [
  { key: runIdTag, value: run.id },
  ...(started.rank === undefined ? [] : [{ key: "tracelet.rank", value: String(started.rank) }]),
  ...(started.trace === undefined
    ? []
    : [
        { key: "tracelet.trace_id", value: started.trace.traceId },
        { key: "tracelet.span_id", value: started.trace.spanId }
      ])
]

/** As MLflow's own client sets them when a run begins (`mlflow/tracking/context`, 3.18.0). */
const originTags = (origin: Origin = {}): ReadonlyArray<Tag> =>
  [
    ["mlflow.source.type", "LOCAL"],
    ["mlflow.source.name", origin.program],
    ["mlflow.user", origin.user],
    ["tracelet.host", origin.host],
    ["mlflow.source.git.commit", origin.git?.commit],
    ["mlflow.source.git.branch", origin.git?.branch],
    ["mlflow.source.git.repoURL", origin.git?.remote],
    ["mlflow.source.git.dirty", origin.git?.isDirty === undefined ? undefined : String(origin.git.isDirty)]
  ].flatMap(([key = "", value]) => (value === undefined ? [] : [{ key, value: MlflowMapping.storable(value) }]))

const userTags = (tags: OpenRun["run"]["tags"]): ReadonlyArray<Tag> =>
  MlflowMapping.tags(tags).flatMap(({ key, value }) =>
    value === null ? [] : [{ key, value: MlflowMapping.shortened(value, tagValueLength, MlflowMapping.tagFile(key)) }]
  )

/** The later of two with one key. */
const unique = (tags: ReadonlyArray<Tag>): ReadonlyArray<Tag> => [
  ...new Map(tags.map((tag) => [tag.key, tag])).values()
]
