/** What MLflow takes: `mlflow/utils/validation.py`, and as asked of a server of 3.18.0. Lengths of text are in code points. */

/** Metrics, params and tags of one `runs/log-batch` together. */
export const entriesPerBatch = 1_000
export const paramsPerBatch = 100
export const tagsPerBatch = 100

/** Databricks enforces 1 MB; servers of 3.18.0 took 1.4 MB. */
export const batchBytes = 900_000

/** Of a metric, a param and a tag. */
export const keyLength = 250
/** Longer ones the server cuts, without a word (MLFLOW_TRUNCATE_LONG_VALUES). */
export const paramValueLength = 6_000
export const tagValueLength = 8_000
export const experimentNameLength = 500
/** Of the column that keeps it (`mlflow/store/tracking/dbmodels/models.py`, SqlRun.name). */
export const runNameLength = 250
export const datasetNameLength = 500
export const datasetDigestLength = 36
export const inputTagValueLength = 500

/** Of one part of a path on the usual file systems (NAME_MAX of Linux is 255), with room for what is put behind it. */
export const pathPartBytes = 160
