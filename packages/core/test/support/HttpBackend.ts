/**
 * A small service for points over HTTP, as simple as one can be that tells a resend, and the backend that talks to it: what stands between them
 * is what the tests are about.
 */
import type * as Upstream from "@tracelet/testing/Upstream"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { Backend, type Batch } from "../../src/Backend.ts"
import * as ServiceCall from "../../src/ServiceCall.ts"
import { accepted } from "../../src/WriteReport.ts"

const Sent = Schema.Struct({ points: Schema.Array(Schema.Struct({ id: Schema.String, value: Schema.Finite })) })
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Sent))

export const secret = "s3cr3t-of-the-tests"

/** What the service has, in the order it came, and how often it was sent what it had. A negative value is refused, and its batch with it. */
export const makeService = () => {
  const valuesById = new Map<string, number>()
  let resent = 0
  const upstream: Upstream.Upstream = ({ method, body }) => {
    if (method === "GET") return { status: 200, body: "{}" }
    const { points } = decode(body.toString())
    const poison = points.find(({ value }) => value < 0)
    if (poison !== undefined) return { status: 400, body: `{"message":"${poison.value} is negative"}` }
    for (const { id, value } of points) {
      if (valuesById.has(id)) resent++
      valuesById.set(id, value)
    }
    return {
      status: 200,
      body: JSON.stringify({ taken: points.length }),
      headers: { "content-type": "application/json" }
    }
  }
  return { upstream, values: () => [...valuesById.values()], resent: () => resent }
}

export const limits = { points: 250, bytes: 1_000_000 }

export const make = (url: string): Effect.Effect<Backend["Service"], never, HttpClient.HttpClient> =>
  Effect.map(
    ServiceCall.make({
      backend: "service",
      firstByteWithin: "300 millis",
      answerWithin: "600 millis",
      answerBytesMax: 1024 * 1024
    }),
    (service) => {
      const authorised = HttpClientRequest.bearerToken(secret)
      return Backend.of({
        capabilities: {
          kinds: new Set(["points"]),
          identity: "point",
          limits,
          values: { nan: false, infinity: false, negativeZero: false },
          steps: { negative: true, repeated: true, late: true },
          degradations: []
        },
        open: () =>
          Effect.as(service.json("open the run", authorised(HttpClientRequest.get(url)), Schema.Struct({})), {
            remote: "remote",
            confirmed: undefined,
            write: (batch) => {
              const points = pointsOf(batch)
              const request = HttpClientRequest.post(`${url}/points`).pipe(
                authorised,
                HttpClientRequest.bodyText(JSON.stringify({ points }), "application/json")
              )
              return Effect.as(
                service.json("log a batch", request, Schema.Struct({ taken: Schema.Literal(points.length) })),
                accepted
              )
            },
            close: () => Effect.void
          })
      })
    }
  )

const pointsOf = ({ writer, events }: Batch) =>
  events.flatMap((event) =>
    event._tag === "PointBatch"
      ? Array.from({ length: event.count }, (_, i) => ({
          id: `${writer} ${event.positions[i]}.${event.indices[i]}`,
          value: event.values[i] ?? NaN
        }))
      : []
  )
