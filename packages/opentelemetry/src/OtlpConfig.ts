/**
 * What a user may say about a receiver of metrics: where it is, and what it wants to see.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { parse } from "./internal/headers.ts"

const isHttp = (text: string): true | string => {
  const protocol = URL.canParse(text) ? new URL(text).protocol : ""
  return /^https?:$/.test(protocol) || "must be an http:// or https:// address; gRPC is not spoken"
}

export const OtlpConfig = Schema.Struct({
  endpoint: Schema.String.check(Schema.makeFilter(isHttp, { identifier: "Endpoint" }))
    .annotate({ examples: ["http://127.0.0.1:4318", "http://127.0.0.1:9090/api/v1/otlp"] })
    .pipe(Schema.annotateKey({ description: "Base address of the receiver; `/v1/metrics` is put behind it." })),
  headers: Schema.optionalKey(
    Schema.RedactedFromValue(
      Schema.NonEmptyString.check(
        Schema.makeFilter((text) => parse(text) !== undefined || "must read name=value,name=value", {
          identifier: "Headers"
        })
      )
    ).pipe(
      Schema.annotateKey({
        description: "Headers for each request, as `name=value,name=value` with values percent-encoded."
      })
    )
  ),
  serviceName: Schema.NonEmptyString.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("tracelet")),
    Schema.annotateKey({ description: "`service.name` of the resource; Prometheus makes it the label `job`." })
  ),
  stepAttribute: Schema.Boolean.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(false)),
    Schema.annotateKey({
      description:
        "Gives each point its step as the attribute `step`. For receivers that keep points as rows; one that keeps time series makes a series of each step."
    })
  ),
  requestTimeout: Schema.DurationFromString.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("30 seconds")),
    Schema.check(
      Schema.makeFilter((wait) => Duration.isGreaterThan(wait, Duration.zero) || "must be longer than nothing", {
        identifier: "Wait"
      })
    ),
    Schema.annotateKey({ description: "Longest wait for one answer; a retry starts a new wait." })
  )
})
export interface OtlpConfig extends Schema.Schema.Type<typeof OtlpConfig> {}
