/**
 * How a call to an MLflow server fails: what was asked, what came back, and what a user can do about it. Facts about the server are as seen
 * on MLflow 3.18.0.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { BackendError, Held, Poison, Reason, Throttled, Transient, Unauthorised } from "@tracelet/core/BackendError"

/** The error codes that are told apart here. */
export const codes = {
  notFound: "RESOURCE_DOES_NOT_EXIST",
  exists: "RESOURCE_ALREADY_EXISTS",
  invalid: "INVALID_PARAMETER_VALUE",
  disabled: "FEATURE_DISABLED",
  notImplemented: "NOT_IMPLEMENTED"
} as const

export class MlflowError extends Schema.TaggedError<MlflowError>()("MlflowError", {
  message: Schema.String,
  reason: Reason,
  /** 0 when there was no answer. */
  status: Schema.Int,
  /** MLflow's own, such as `RESOURCE_DOES_NOT_EXIST`; empty when the answer was not MLflow's. */
  code: Schema.String,
  /** What the server said, shortened. */
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  get isRetryable(): boolean {
    return this.reason._tag === "Transient" || this.reason._tag === "Throttled"
  }
}

export const toBackendError = (error: MlflowError): BackendError =>
  new BackendError({ backend: "mlflow", message: error.message, reason: error.reason, cause: error })

/** What an answer with an error looked like. */
export interface Answer {
  readonly status: number
  /** The value of its header, if it had one. */
  readonly retryAfter: string | undefined
  readonly body: string
}

const decodeBody = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ error_code: Schema.String, message: Schema.optionalKey(Schema.NullOr(Schema.String)) })
  )
)

/** Most of an answer that a message shows: a proxy's page, or a stack, says little after its first lines. */
const detailMax = 300

/** How long to wait where the server asks to, and does not say how long. */
const retryAfterDefaultSeconds = 5

/** Seconds, or a date (RFC 9110, 10.2.3). */
export const retryAfterSeconds = (header: string | undefined, nowMs: number): number => {
  if (header === undefined || header.trim() === "") return retryAfterDefaultSeconds
  const seconds = Number(header)
  const wait = Number.isFinite(seconds) ? seconds : (Date.parse(header) - nowMs) / 1000
  return Number.isFinite(wait) ? Math.max(0, wait) : retryAfterDefaultSeconds
}

/** `asked`: what was tried, on what: "log 1000 metrics of run 0a1b… at https://…". */
export const fromAnswer = (asked: string, { body, retryAfter, status }: Answer, nowMs: number): MlflowError => {
  const decoded = Option.getOrUndefined(decodeBody(body))
  const isPage = decoded === undefined && /^\s*</.test(body)
  const detail = (decoded?.message ?? (isPage ? textOf(body) : body)).trim().slice(0, detailMax)
  const code = decoded?.error_code ?? ""
  const { advice, reason } = judge({ status, code, detail, waitSeconds: retryAfterSeconds(retryAfter, nowMs) })
  const said = [`status ${status}`, code, detail].filter((part) => part !== "").join(", ")
  return new MlflowError({ message: `Cannot ${asked}: ${said}. ${advice}`, reason, status, code, detail })
}

/** No answer, or none that can be read. */
export const fromSilence = (asked: string, problem: string, cause?: unknown): MlflowError =>
  new MlflowError({
    message: `Cannot ${asked}: ${problem}. It is tried again by itself.`,
    reason: new Transient(),
    status: 0,
    code: "",
    detail: problem,
    cause
  })

/** What only a user can change. */
export const unusable = (message: string): MlflowError =>
  new MlflowError({ message, reason: new Held(), status: 0, code: "", detail: "" })

/** An HTML page without its tags. */
const textOf = (page: string): string => page.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ")

interface Seen {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly waitSeconds: number
}

const again = "It is tried again by itself."

const judge = ({ code, detail, status, waitSeconds }: Seen): { readonly reason: Reason; readonly advice: string } => {
  if (status === 401) {
    return {
      reason: new Unauthorised(),
      advice: "Set username and password, or token, to what this server knows, and run `tracelet sync`."
    }
  }
  if (status === 403 && detail.includes("Invalid Host header")) {
    return {
      reason: new Held(),
      advice:
        "The server does not answer by this name: start it with `--allowed-hosts NAME:*`, or reach it by another name."
    }
  }
  if (status === 403)
    return { reason: new Held(), advice: "This user may not: ask for the right, and run `tracelet sync`." }
  if (status === 429) return { reason: new Throttled({ retryAfterSeconds: waitSeconds }), advice: again }
  if (status === 503 && waitSeconds !== retryAfterDefaultSeconds) {
    return { reason: new Throttled({ retryAfterSeconds: waitSeconds }), advice: again }
  }
  if (status === 413) return { reason: new Poison(), advice: "The server takes no body of that size." }
  if (status === 501 || code === codes.disabled || code === codes.notImplemented) {
    return { reason: new Held(), advice: "This server has that switched off; switch it on, and run `tracelet sync`." }
  }
  if (status === 408 || status >= 500) return { reason: new Transient(), advice: again }
  if (status === 400 && detail.includes("must be in the 'active' state")) {
    return {
      reason: new Held(),
      advice: "The run was deleted there: restore it (`mlflow runs restore --run-id ID`), and run `tracelet sync`."
    }
  }
  if (status >= 300 && status < 400) {
    return { reason: new Held(), advice: "It points elsewhere: configure the tracking URI that it points to." }
  }
  if (status === 404 && code === "") {
    return { reason: new Held(), advice: "No MLflow server answers there: is the tracking URI its base URL?" }
  }
  if (code === codes.notFound) return { reason: new Held(), advice: "It is gone there, or never was." }
  return { reason: new Poison(), advice: "The server will not take it." }
}
