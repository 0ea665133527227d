/**
 * The HTTP client of an exporter: each answer has a deadline, so that a collector that takes connections and says nothing holds up no
 * batch, and the first failure after a success is said, once. The exporter itself retries, gives a batch up and pauses for a minute.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { Settings, Signal } from "./settings.ts"

export const layer = (signal: Signal, { timeoutMs, url }: Settings): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => watched(client, signal, url, timeoutMs))
  ).pipe(Layer.provide(FetchHttpClient.layer))

const watched = (
  client: HttpClient.HttpClient,
  signal: Signal,
  url: string,
  timeoutMs: number
): HttpClient.HttpClient => {
  let isSaid = false
  const say = (came: string) =>
    Effect.suspend(() => {
      if (isSaid) return Effect.void
      isSaid = true
      return Effect.logWarning(
        `tracelet: OpenTelemetry's ${signal} do not arrive at ${shown(url)}: ${came}. Is that a collector's OTLP/HTTP address? ` +
          "It is tried again by itself; what comes meanwhile is dropped."
      )
    })
  return HttpClient.transform(client, (effect, request) =>
    effect.pipe(
      Effect.timeoutOrElse({
        duration: timeoutMs,
        orElse: () => Effect.fail(late(request, `no answer within ${timeoutMs} ms`))
      }),
      Effect.tap(({ status }) =>
        status < 400 ? Effect.sync(() => void (isSaid = false)) : say(`it answered ${status}`)
      ),
      // The messages of a client hold the address as it was given.
      Effect.tapError(({ reason }) =>
        say("description" in reason ? (reason.description ?? "no connection") : "no connection")
      )
    )
  )
}

const late = (request: HttpClientRequest.HttpClientRequest, description: string): HttpClientError.HttpClientError =>
  new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, description }) })

/** The address without what may authorise. */
const shown = (url: string): string => {
  const { host, pathname, protocol } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
