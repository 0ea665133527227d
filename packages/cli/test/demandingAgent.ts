/**
 * An agent for the tests of secrets: `demandingAgent.ts DIR`. Beside the built-in backends it has one that talks to a service which demands a
 * token, and whose refusals repeat what they were sent.
 */
import * as Agent from "@tracelet/bridge-python/Agent"
import { Backend } from "@tracelet/core/Backend"
import { BackendError, Unauthorised } from "@tracelet/core/BackendError"
import * as Journal from "@tracelet/core/Journal"
import * as Plugin from "@tracelet/core/Plugin"
import { kinds } from "@tracelet/core/RunEvent"
import { accepted } from "@tracelet/core/WriteReport"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Distribution from "../src/Distribution.ts"
import { version } from "../src/Version.ts"

const post = (url: string, token: string, values: ReadonlyArray<number>) =>
  Effect.tryPromise({
    try: async () => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(values) })
      return { isTaken: response.ok, text: await response.text() }
    },
    catch: String
  }).pipe(
    Effect.mapError((message) => new BackendError({ backend: "demanding", message, reason: new Unauthorised() })),
    Effect.filterOrFail(
      ({ isTaken }) => isTaken,
      ({ text }) => new BackendError({ backend: "demanding", message: `It said: ${text}`, reason: new Unauthorised() })
    )
  )

const demanding = Plugin.make({
  id: "backend.demanding",
  kind: "backend",
  version,
  stability: "experimental",
  description: "Posts points to a service that demands a token.",
  config: Schema.Struct({ url: Schema.String, token: Schema.RedactedFromValue(Schema.NonEmptyString) }),
  environment: { url: ["DEMANDING_URL"], token: ["DEMANDING_TOKEN"] },
  address: "url",
  credential: "token",
  layer: ({ url, token }) =>
    Layer.succeed(Backend, {
      capabilities: {
        kinds: new Set(kinds),
        identity: "point",
        limits: { points: 1_000, bytes: 1_048_576 },
        values: { nan: true, infinity: true, negativeZero: true },
        steps: { negative: true, repeated: true, late: true },
        degradations: []
      },
      open: () =>
        Effect.succeed({
          remote: null,
          confirmed: undefined,
          write: ({ events }) =>
            Effect.as(
              post(
                url,
                Redacted.value(token),
                events.flatMap((event) => (event._tag === "PointBatch" ? [...event.values] : []))
              ),
              accepted
            ),
          close: () => Effect.void
        })
    })
})

const [dir = ""] = process.argv.slice(2)

const program = Effect.scoped(
  Effect.flatMap(Distribution.make([...Distribution.backends, demanding]), ({ targetsOf }) =>
    Agent.run({ targetsOf, processorsOf: Distribution.processorsOf, version, idle: Duration.seconds(60) })
  )
).pipe(Effect.provide(Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)))

process.umask(0o077)
await Effect.runPromise(program)
