/**
 * What the refusals of an MLflow server mean, where they say more than their status (as seen on 3.18.0). Everything else is
 * `ServiceCall`'s.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Held, Transient } from "@tracelet/core/BackendError"
import type { Answer, Classify, Verdict } from "@tracelet/core/ServiceCall"
import { ErrorReply } from "./MlflowApi.ts"

/** The error codes that are told apart here. */
export const codes = {
  notFound: "RESOURCE_DOES_NOT_EXIST",
  exists: "RESOURCE_ALREADY_EXISTS",
  disabled: "FEATURE_DISABLED",
  notImplemented: "NOT_IMPLEMENTED"
} as const

/** A request that was answered with an error which its caller deals with. */
export interface Refusal {
  readonly status: number
  /** MLflow's own, such as `INVALID_PARAMETER_VALUE`; empty when the answer was not MLflow's. */
  readonly code: string
  readonly message: string
}

const decodeError = Schema.decodeUnknownOption(Schema.fromJsonString(ErrorReply))
const utf8 = new TextDecoder()

/** `undefined` of a success. */
export const refusal = ({ body, status }: Answer): Refusal | undefined => {
  if (status >= 200 && status < 300) return undefined
  const text = utf8.decode(body)
  const decoded = Option.getOrUndefined(decodeError(text))
  return { status, code: decoded?.error_code ?? "", message: decoded?.message ?? text.trim() }
}

const held = (advice: string): Verdict => ({ reason: new Held(), advice })

/** Of every call. */
export const classify: Classify = (answer) => {
  const refused = refusal(answer)
  if (refused === undefined) return undefined
  const { code, message, status } = refused
  if (status === 403 && message.includes("Invalid Host header")) {
    return held(
      "The server does not answer by this name: start it with --allowed-hosts 'NAME:*', or reach it by another name."
    )
  }
  if (message.includes("must be in the 'active' state")) {
    return held("The run was deleted there: restore it (mlflow runs restore --run-id ID).")
  }
  // FEATURE_DISABLED comes with 500.
  if (status === 501 || code === codes.disabled || code === codes.notImplemented) {
    return held("This server has that switched off.")
  }
  if (code === codes.notFound) return held("It is gone there, or never was.")
  if (status === 404 || status === 405) {
    return held("Is that the base URL of an MLflow server, and does a proxy before it change paths?")
  }
  // A database that is locked, or deadlocked, is worth another try whatever the code.
  if (status === 409) return { reason: new Transient(), advice: "It is tried again by itself." }
  return undefined
}

/** The same, and lets the caller deal with these codes. */
export const accepting =
  (...expected: ReadonlyArray<string>): Classify =>
  (answer) => {
    const code = refusal(answer)?.code
    return code !== undefined && expected.includes(code) ? "accepted" : classify(answer)
  }

/** The same, and lets the caller deal with what is wrong with the request itself. */
export const acceptingFaults: Classify = (answer) =>
  classify(answer) ?? (answer.status === 400 || answer.status === 413 ? "accepted" : undefined)
