/**
 * The calls to an MLflow server, one method an endpoint. It translates neither names nor events, and retries nothing: calls are `ServiceCall`'s,
 * trying again is the lane's.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { BackendError } from "@tracelet/core/BackendError"
import * as ServiceCall from "@tracelet/core/ServiceCall"
import * as MlflowApi from "./MlflowApi.ts"
import type { MlflowConfig } from "./MlflowConfig.ts"
import { accepting, acceptingFaults, classify, codes, refusal, type Refusal } from "./MlflowError.ts"
import { authorization } from "./internal/credentials.ts"
import { decoded } from "./internal/decoded.ts"
import { makeArtifactCalls, type ArtifactCalls } from "./internal/artifactCalls.ts"

export class MlflowClient extends Context.Service<
  MlflowClient,
  {
    /** The server's version, as it says it. */
    readonly version: Effect.Effect<string, BackendError>
    readonly serverInfo: Effect.Effect<MlflowApi.ServerInfo, BackendError>
    readonly experimentByName: (name: string) => Effect.Effect<MlflowApi.Experiment | undefined, BackendError>
    readonly experimentById: (id: string) => Effect.Effect<MlflowApi.Experiment | undefined, BackendError>
    /** Its id; `undefined` when one of that name is there, which may be deleted. */
    readonly createExperiment: (
      name: string,
      artifactLocation?: string
    ) => Effect.Effect<string | undefined, BackendError>
    readonly run: (id: string) => Effect.Effect<MlflowApi.Run | undefined, BackendError>
    /** Runs of an experiment that are not deleted and have that tag. */
    readonly runsByTag: (
      experiment: string,
      key: string,
      value: string
    ) => Effect.Effect<ReadonlyArray<MlflowApi.Run>, BackendError>
    /** Not idempotent: the server gives the id. */
    readonly createRun: (request: MlflowApi.CreateRun) => Effect.Effect<MlflowApi.Run, BackendError>
    readonly updateRun: (request: MlflowApi.UpdateRun) => Effect.Effect<void, BackendError>
    /** `body` as `MlflowMapping.body` makes it; `what` says what is in it. Resolves with why the server would not take it. */
    readonly logBatch: (what: string, body: string) => Effect.Effect<Refusal | undefined, BackendError>
    /** A tag that is not there is as good as deleted. */
    readonly deleteTag: (run: string, key: string) => Effect.Effect<void, BackendError>
    readonly logInputs: (
      run: string,
      datasets: ReadonlyArray<MlflowApi.DatasetInput>
    ) => Effect.Effect<Refusal | undefined, BackendError>
    readonly artifacts: ArtifactCalls
  }
>()("@tracelet/backend-mlflow/MlflowClient") {}

export const make = (config: MlflowConfig): Effect.Effect<MlflowClient["Service"], never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const base = config.trackingUri.replace(/\/+$/, "")
    const { call, json } = yield* ServiceCall.make({
      backend: "mlflow",
      firstByteWithin: config.requestTimeout,
      answerWithin: config.requestTimeout,
      classify,
      secrets: [config.password, config.token].filter((secret) => secret !== undefined)
    })
    const login = yield* Effect.cached(Effect.sync(() => authorization(config)))
    const signed = (request: HttpClientRequest.HttpClientRequest) =>
      Effect.map(login, (header) =>
        header === undefined ? request : HttpClientRequest.setHeader(request, "authorization", Redacted.value(header))
      )
    // Older servers do not have it, and some ask for credentials.
    const info = yield* Effect.cachedWithTTL(
      Effect.flatMap(signed(HttpClientRequest.get(`${base}/api/3.0/mlflow/server-info`)), (request) =>
        Effect.flatMap(call(infoAsked, request, { classify: acceptingNoInfo }), (answer) =>
          answer.status === 404
            ? Effect.succeed<MlflowApi.ServerInfo>({})
            : decoded(infoAsked, MlflowApi.ServerInfo, answer)
        )
      ),
      "5 minutes"
    )
    /** A server without workspaces refuses every call that names one (500 FEATURE_DISABLED). */
    const placed = (request: HttpClientRequest.HttpClientRequest) => {
      const { workspace } = config
      if (workspace === undefined) return signed(request)
      return Effect.flatMap(info, ({ workspaces_enabled }) =>
        signed(
          workspaces_enabled === true ? HttpClientRequest.setHeader(request, "x-mlflow-workspace", workspace) : request
        )
      )
    }
    const get = (path: string, parameters: Readonly<Record<string, string>>) =>
      placed(HttpClientRequest.get(`${base}/api/2.0/mlflow/${path}`, { urlParams: parameters }))
    const post = (path: string, body: string) =>
      placed(
        HttpClientRequest.post(`${base}/api/2.0/mlflow/${path}`).pipe(
          HttpClientRequest.bodyText(body, "application/json")
        )
      )
    /** `undefined` where the answer is an error of that code. */
    const unless = <A>(
      code: string,
      what: string,
      request: Effect.Effect<HttpClientRequest.HttpClientRequest, BackendError>,
      schema: Schema.Decoder<A>
    ): Effect.Effect<A | undefined, BackendError> =>
      Effect.flatMap(request, (ready) =>
        Effect.flatMap(call(what, ready, { classify: accepting(code) }), (answer) =>
          refusal(answer) === undefined ? decoded(what, schema, answer) : Effect.succeed(undefined)
        )
      )
    const find = <A>(
      what: string,
      path: string,
      parameters: Readonly<Record<string, string>>,
      schema: Schema.Decoder<A>
    ) => unless(codes.notFound, what, get(path, parameters), schema)
    /** Resolves with why the request itself will not do. */
    const offer = (what: string, path: string, body: string) =>
      Effect.flatMap(post(path, body), (request) =>
        Effect.map(call(what, request, { classify: acceptingFaults }), refusal)
      )

    return MlflowClient.of({
      version: Effect.flatMap(signed(HttpClientRequest.get(`${base}/version`)), (request) =>
        Effect.map(call("ask for the server's version", request), ({ body }) => new TextDecoder().decode(body).trim())
      ),
      serverInfo: info,
      experimentByName: (name) =>
        Effect.map(
          find(
            `find experiment ${name}`,
            "experiments/get-by-name",
            { experiment_name: name },
            MlflowApi.ExperimentReply
          ),
          (reply) => reply?.experiment
        ),
      experimentById: (id) =>
        Effect.map(
          find(`find experiment ${id}`, "experiments/get", { experiment_id: id }, MlflowApi.ExperimentReply),
          (reply) => reply?.experiment
        ),
      createExperiment: (name, location) =>
        Effect.map(
          unless(
            codes.exists,
            `create experiment ${name}`,
            post(
              "experiments/create",
              JSON.stringify({ name, ...(location === undefined ? {} : { artifact_location: location }) })
            ),
            MlflowApi.CreatedExperiment
          ),
          (reply) => reply?.experiment_id
        ),
      run: (id) =>
        Effect.map(find(`find run ${id}`, "runs/get", { run_id: id }, MlflowApi.RunReply), (reply) => reply?.run),
      runsByTag: (experiment, key, value) =>
        Effect.flatMap(
          post(
            "runs/search",
            JSON.stringify({ experiment_ids: [experiment], filter: `tags.\`${key}\` = '${value}'`, max_results: 10 })
          ),
          (request) =>
            Effect.map(json(`look for run ${value}`, request, MlflowApi.SearchReply), ({ runs = [] }) => runs)
        ),
      createRun: (body) =>
        Effect.flatMap(post("runs/create", JSON.stringify(body)), (request) =>
          Effect.map(json(`create run ${body.run_name}`, request, MlflowApi.RunReply), ({ run }) => run)
        ),
      updateRun: (body) =>
        Effect.flatMap(post("runs/update", JSON.stringify(body)), (request) =>
          Effect.asVoid(call(`update run ${body.run_id}`, request))
        ),
      logBatch: (what, body) => offer(what, "runs/log-batch", body),
      deleteTag: (run, key) =>
        Effect.flatMap(post("runs/delete-tag", JSON.stringify({ run_id: run, key })), (request) =>
          Effect.asVoid(call(`take tag ${key} from run ${run}`, request, { classify: acceptingNoTag }))
        ),
      logInputs: (run, datasets) =>
        offer(`say what run ${run} used`, "runs/log-inputs", JSON.stringify({ run_id: run, datasets })),
      artifacts: makeArtifactCalls({ base, call, json, info, placed })
    })
  })

export const layer = (config: MlflowConfig): Layer.Layer<MlflowClient, never, HttpClient.HttpClient> =>
  Layer.effect(MlflowClient, make(config))

const infoAsked = "ask what the server can do"

const acceptingNoInfo: ServiceCall.Classify = (answer) => (answer.status === 404 ? "accepted" : classify(answer))

/** "No tag with name: …"; a run that is not there is "Run with id=… not found" of the same code. */
const acceptingNoTag: ServiceCall.Classify = (answer) =>
  /no tag with name/i.test(refusal(answer)?.message ?? "") ? "accepted" : classify(answer)
