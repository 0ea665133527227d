/**
 * What an MLflow server answers, as far as it is read here (`mlflow/protos/service.proto`; each shape as seen on 3.18.0). No behaviour.
 */
import * as Schema from "effect/Schema"

/** Missing where it is empty. */
const Tags = Schema.optionalKey(
  Schema.Array(Schema.Struct({ key: Schema.String, value: Schema.optionalKey(Schema.String) }))
)

/** GET `/experiments/get-by-name`, `/experiments/get` */
export const ExperimentReply = Schema.Struct({
  experiment: Schema.Struct({
    experiment_id: Schema.String,
    name: Schema.String,
    /** `active` or `deleted`. */
    lifecycle_stage: Schema.String
  })
})
export type Experiment = (typeof ExperimentReply.Type)["experiment"]

/** POST `/experiments/create` */
export const CreatedExperiment = Schema.Struct({ experiment_id: Schema.String })

export const Run = Schema.Struct({
  info: Schema.Struct({
    run_id: Schema.String,
    experiment_id: Schema.String,
    run_name: Schema.optionalKey(Schema.String),
    status: Schema.String,
    artifact_uri: Schema.optionalKey(Schema.String),
    lifecycle_stage: Schema.String
  }),
  data: Schema.optionalKey(Schema.Struct({ tags: Tags }))
})
export interface Run extends Schema.Schema.Type<typeof Run> {}

/** GET `/runs/get`, POST `/runs/create` */
export const RunReply = Schema.Struct({ run: Run })

/** POST `/runs/search` */
export const SearchReply = Schema.Struct({ runs: Schema.optionalKey(Schema.Array(Run)) })

/** GET `/api/3.0/mlflow/server-info`; all of it is optional, since older servers do not have it. */
export const ServerInfo = Schema.Struct({
  workspaces_enabled: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
  artifact_serving_enabled: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
  multipart_uploads_enabled: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
  artifacts_presigned_only: Schema.optionalKey(Schema.NullOr(Schema.Boolean))
})
export interface ServerInfo extends Schema.Schema.Type<typeof ServerInfo> {}

/** POST `/artifacts/presigned-upload-url` */
export const PresignedUpload = Schema.Struct({
  presigned_url: Schema.String,
  headers: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.String)))
})

/** POST `/mlflow-artifacts/mpu/create/…` */
export const MultipartUpload = Schema.Struct({
  upload_id: Schema.optionalKey(Schema.NullOr(Schema.String)),
  credentials: Schema.Array(
    Schema.Struct({
      url: Schema.String,
      part_number: Schema.Int,
      headers: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.String)))
    })
  )
})

/** What a request was refused with; answers of proxies and of some handlers are no JSON. */
export const ErrorReply = Schema.Struct({
  error_code: Schema.String,
  message: Schema.optionalKey(Schema.NullOr(Schema.String))
})

// ---- what is sent ----

export interface Tag {
  readonly key: string
  readonly value: string
}

/** POST `/runs/create`; a `run_id` would be ignored. */
export interface CreateRun {
  /** Text: a number is refused. */
  readonly experiment_id: string
  /** Milliseconds since the Unix epoch; left out it is 0. */
  readonly start_time: number
  readonly run_name: string
  readonly tags: ReadonlyArray<Tag>
}

/** POST `/runs/update`; what is left out stays. */
export interface UpdateRun {
  readonly run_id: string
  readonly status?: "RUNNING" | "FINISHED" | "FAILED" | "KILLED"
  /** Milliseconds since the Unix epoch. */
  readonly end_time?: number
  readonly run_name?: string
}

/** POST `/runs/log-inputs`: the same again is stored once. */
export interface DatasetInput {
  readonly tags: ReadonlyArray<Tag>
  readonly dataset: {
    readonly name: string
    readonly digest: string
    readonly source_type: string
    /** Texts that hold JSON. */
    readonly source: string
    readonly schema?: string
    readonly profile?: string
  }
}
