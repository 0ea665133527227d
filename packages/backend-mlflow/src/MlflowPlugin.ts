/** `backend.mlflow`: what lists of plugins hold, and what an app calls. */
import * as Plugin from "@tracelet/core/Plugin"
import * as MlflowBackend from "./MlflowBackend.ts"
import { MlflowConfig } from "./MlflowConfig.ts"

/** The variables are those of MLflow's own client (`mlflow/environment_variables.py`, 3.18.0). */
export const manifest = Plugin.make({
  id: "backend.mlflow",
  kind: "backend",
  version: "0.1.0",
  stability: "experimental",
  description: "Writes runs to an MLflow tracking server.",
  config: MlflowConfig,
  environment: {
    trackingUri: ["MLFLOW_TRACKING_URI"],
    experiment: ["MLFLOW_EXPERIMENT_NAME"],
    experimentId: ["MLFLOW_EXPERIMENT_ID"],
    runName: ["MLFLOW_RUN_NAME"],
    runId: ["MLFLOW_RUN_ID"],
    workspace: ["MLFLOW_WORKSPACE"],
    username: ["MLFLOW_TRACKING_USERNAME"],
    password: ["MLFLOW_TRACKING_PASSWORD"],
    token: ["MLFLOW_TRACKING_TOKEN"],
    requestTimeout: { names: ["MLFLOW_HTTP_REQUEST_TIMEOUT"], unit: "seconds" }
  },
  address: "trackingUri",
  credential: "token",
  alternatives: [
    [["experiment"], ["experimentId"]],
    [["username", "password"], ["token"]]
  ],
  layer: (config) => MlflowBackend.layer(config)
})

/**
 * An MLflow server with its config, to be put into `Tracelet.layer({ backends: { … } })`.
 *
 * @example
 * ```ts
 * import * as Mlflow from "@tracelet/backend-mlflow"
 *
 * const backends = { mlflow: Mlflow.plugin({ trackingUri: "http://127.0.0.1:5000" }) }
 * ```
 */
export const plugin = manifest.plugin
