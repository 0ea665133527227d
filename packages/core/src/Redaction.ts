/**
 * Keeps a backend's secrets out of what it says: a service's answer may repeat the credentials it was sent, and from an error's message they
 * would go into the status, the log, the dead letter and the spans.
 */
import * as Effect from "effect/Effect"
import { Backend, type BackendRun } from "./Backend.ts"
import { BackendError } from "./BackendError.ts"
import type { WriteReport } from "./WriteReport.ts"

/** The text with each secret replaced. */
export type Redact = (text: string) => string

/** Shorter ones are not looked for: redacting every "1" would only hide what happened. */
const lengthMin = 4

export const of = (secrets: Iterable<string>): Redact => {
  const forms = [...secrets].flatMap((secret) => [secret, encodeURIComponent(secret.toWellFormed())])
  // A longer one first: it may hold a shorter.
  const wanted = [...new Set(forms)].filter(({ length }) => length >= lengthMin).toSorted((a, b) => b.length - a.length)
  return (text) => wanted.reduce((left, secret) => left.replaceAll(secret, "<redacted>"), text)
}

/** The backend, with none of the secrets in how it fails and in what it refuses. */
export const guard = (backend: Backend["Service"], secrets: ReadonlyArray<string>): Backend["Service"] => {
  if (secrets.length === 0) return backend
  const redact = of(secrets)
  const guarded = Effect.mapError(inError(redact))
  return Backend.of({
    ...backend,
    open: (run) => Effect.map(guarded(backend.open(run)), (opened) => guardRun(opened, redact)),
    ...(backend.forget === undefined ? {} : { forget: (run) => guarded(backend.forget?.(run) ?? Effect.void) })
  })
}

const guardRun = (run: BackendRun, redact: Redact): BackendRun => {
  const guarded = Effect.mapError(inError(redact))
  return {
    remote: run.remote,
    confirmed: run.confirmed === undefined ? undefined : guarded(run.confirmed),
    write: (batch) => Effect.map(guarded(run.write(batch)), inReport(redact)),
    close: (end) => guarded(run.close(end))
  }
}

/** What caused it is left out where it may hold the same. */
const inError =
  (redact: Redact) =>
  (error: BackendError): BackendError => {
    const { backend, cause, message, reason } = error
    const clean = redact(message)
    const isClean = clean === message && redact(String(cause)) === String(cause)
    return isClean ? error : new BackendError({ backend, message: clean, reason })
  }

const inReport =
  (redact: Redact) =>
  (report: WriteReport): WriteReport => ({
    ...report,
    rejected: report.rejected.map((one) => ({ ...one, reason: redact(one.reason) }))
  })
