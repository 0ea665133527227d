/**
 * What a user may say about an MLflow server: where it is, who asks, and how runs are called there. Each key has the meaning of the
 * variable that MLflow's own client reads (`MLFLOW_TRACKING_URI` and the like, as of 3.18), so that a set-up for MLflow works unchanged.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const described = (description: string) => ({ description })

const isHttp = (text: string): true | string => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === "http:" || url?.protocol === "https:"
    ? true
    : "must be the http:// or https:// address of an MLflow server; stores without a server (sqlite:, file:) and `databricks` are not supported"
}

/** Base URL of a server, without a slash at its end. */
const TrackingUri = Schema.String.check(Schema.makeFilter(isHttp, { identifier: "TrackingUri" })).annotate({
  examples: ["http://127.0.0.1:5000", "https://mlflow.example.org/team"]
})

const Wait = Schema.DurationFromString.pipe(
  Schema.check(
    Schema.makeFilter((wait) => Duration.isGreaterThan(wait, Duration.zero) || "must be longer than nothing", {
      identifier: "Wait"
    })
  ),
  Schema.annotate({ examples: [Duration.seconds(30)] })
)

const text = (description: string, example?: string) =>
  Schema.optionalKey(
    Schema.NonEmptyString.annotate(example === undefined ? {} : { examples: [example] }).pipe(
      Schema.annotateKey(described(description))
    )
  )

const secret = (description: string) =>
  Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString).pipe(Schema.annotateKey(described(description))))

export const MlflowConfig = Schema.Struct({
  trackingUri: TrackingUri.pipe(Schema.annotateKey(described("Base URL of the tracking server."))),
  experiment: text(
    "Name of the experiment, made when it is not there. Default: the run's project. Longer than 500 characters is cut.",
    "digits"
  ),
  experimentId: text("Id of an experiment that is there; wins over `experiment`.", "7"),
  runName: text("Name of the run there. Default: the run's own.", "baseline"),
  runId: text(
    "Id of an MLflow run that is there, to log into instead of making one. Runs nested in another are made all the same.",
    "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
  ),
  artifactLocation: text(
    "Where artifacts of an experiment made here lie, as the server understands it. Default: the server's own choice.",
    "s3://bucket/mlflow"
  ),
  workspace: text(
    "Workspace, on servers that have them switched on (MLflow 3.10 and later); others never see it.",
    "team"
  ),
  username: text("User name for basic authentication; with `password` it wins over `token`."),
  password: secret("Password of that user."),
  token: secret("Bearer token."),
  credentialsFile: text(
    "File with a section [mlflow] that names user and password where neither they nor a token are configured. Default: `~/.mlflow/credentials`."
  ),
  requestTimeout: Wait.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("2 minutes")),
    Schema.annotateKey(
      described(
        "Longest wait for one answer; a retry starts a new wait. Too short, and a busy server is asked the same again and again."
      )
    )
  )
})
export interface MlflowConfig extends Schema.Schema.Type<typeof MlflowConfig> {}
