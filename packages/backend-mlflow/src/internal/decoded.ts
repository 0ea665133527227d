/** The body of an answer that its caller has looked at already. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { transient, type BackendError } from "@tracelet/core/BackendError"
import type { Answer } from "@tracelet/core/ServiceCall"

const utf8 = new TextDecoder()

/** Another shape is a broken answer, not a refusal. */
export const decoded = <A>(
  what: string,
  schema: Schema.Decoder<A>,
  { body, status }: Answer
): Effect.Effect<A, BackendError> =>
  Effect.mapError(Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(utf8.decode(body)), (error) =>
    transient("mlflow", `mlflow could not ${what}: the answer (${status}) is not as expected: ${error.message}`)
  )
