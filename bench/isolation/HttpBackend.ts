/**
 * A backend as anybody would write one: each batch is one POST of JSON to a service, whose answer says how many points it has taken. What
 * goes wrong is said as the contract wants it (core/src/Backend.ts): a service that is away, slow or out of its mind is `Transient`.
 */
import { request } from "node:http"
import * as Effect from "effect/Effect"
import { Backend, type Batch } from "@tracelet/core/Backend"
import { transient, type BackendError } from "@tracelet/core/BackendError"
import { accepted, type WriteReport } from "@tracelet/core/WriteReport"

/** Longest wait for an answer. */
const answerMsMax = 5_000

const post = (name: string, port: number, body: string): Effect.Effect<string, BackendError> =>
  Effect.callback<string, BackendError>((resume) => {
    const fail = (why: string) => resume(Effect.fail(transient(name, `Could not send to port ${port}: ${why}.`)))
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
    const sent = request({ port, host: "127.0.0.1", method: "POST", path: "/points", headers }, (response) => {
      let text = ""
      response.on("data", (part) => (text += String(part)))
      response.once("end", () =>
        response.statusCode === 200 ? resume(Effect.succeed(text)) : fail(`it answered ${response.statusCode}`)
      )
      response.once("error", (error) => fail(error.message))
    })
    sent.setTimeout(answerMsMax, () => sent.destroy(new Error(`no answer within ${answerMsMax} ms`)))
    sent.once("error", (error) => fail(error.message))
    sent.end(body)
    return Effect.sync(() => sent.destroy())
  })

const bodyOf = (batch: Batch): readonly [body: string, points: number] => {
  const points = batch.events.flatMap((event) =>
    event._tag === "PointBatch"
      ? Array.from({ length: event.count }, (_, i) => ({
          key: event.table.get(event.series[i] ?? -1)?.name ?? "",
          step: event.steps[i],
          value: event.values[i],
          timestamp: event.times[i]
        }))
      : []
  )
  return [JSON.stringify({ points }), points.length]
}

const taken = (name: string, answer: string, points: number): Effect.Effect<WriteReport, BackendError> =>
  Effect.suspend(() => {
    const wrong = transient(name, `The service answered ${JSON.stringify(answer.slice(0, 100))}.`)
    try {
      const parsed: unknown = JSON.parse(answer)
      const isRight = typeof parsed === "object" && parsed !== null && "taken" in parsed && parsed.taken === points
      return isRight ? Effect.succeed(accepted) : Effect.fail(wrong)
    } catch {
      return Effect.fail(wrong)
    }
  })

export const make = (name: string, port: number): Backend["Service"] =>
  Backend.of({
    capabilities: {
      kinds: new Set(["points"]),
      identity: "point",
      limits: { points: 2_000, bytes: 1_000_000 },
      values: { nan: false, infinity: false, negativeZero: false },
      steps: { negative: true, repeated: true, late: true },
      degradations: []
    },
    open: () =>
      Effect.succeed({
        remote: name,
        confirmed: undefined,
        write: (batch) => {
          const [body, points] = bodyOf(batch)
          return Effect.flatMap(post(name, port, body), (answer) => taken(name, answer, points))
        },
        close: () => Effect.void
      })
  })
