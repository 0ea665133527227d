/**
 * One call to a service over HTTP, for every backend that talks to one. Whatever the network or the service does, a call ends within its
 * deadlines, holds no more than its limit in memory, and fails with a `BackendError` that says what was tried, what came back and what to
 * do, without a secret in it.
 *
 * An adapter: it stands on `effect/http`, and no contract imports it. A call is made once. Trying again is the lane's: so is the reset of an
 * idle connection that the service closed in the moment it was used (its client keeps connections for 4 s, uvicorn for 5 s, so it is
 * rare), since only the lane knows whether a call may be repeated.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Url from "effect/http/Url"
import * as UrlParams from "effect/http/UrlParams"
import { BackendError, Held, Poison, Transient, type Reason } from "./BackendError.ts"
import { decodeText } from "./internal/bytes.ts"
import { failureOf } from "./internal/service/connection.ts"
import { redactor, shownUrl } from "./internal/service/redaction.ts"
import { verdictOf, type Verdict } from "./internal/service/verdict.ts"

export type { Verdict } from "./internal/service/verdict.ts"

/** A test holds the version to `package.json`. */
export const userAgent = "tracelet/0.1.0"

/** What came back, read to its end. */
export interface Answer {
  readonly status: number
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Of an answer that is no success at most the first 64 KiB. */
  readonly body: Uint8Array
}

/** What an answer means where the backend knows better than its status; `undefined` leaves it to the status. */
export type Classify = (answer: Answer) => "accepted" | Verdict | undefined

export interface CallOptions {
  /**
   * Longest wait until an answer begins: looking up, connecting and sending are part of it. Default 30 seconds. Too short, and a large
   * upload never arrives; too long, and a service that hangs is noticed late.
   */
  readonly firstByteWithin?: Duration.Input
  /** Longest wait for the whole answer, redirects included. Default 2 minutes. It ends what trickles. */
  readonly answerWithin?: Duration.Input
  /** A longer answer is cut off and not read. Default 16 MiB: what an answer may cost in memory. */
  readonly answerBytesMax?: number
  readonly classify?: Classify
}

export interface Options extends CallOptions {
  /** The backend's name, as its errors say it. */
  readonly backend: string
  /** What must not stand in a message, beside what the request's own headers carry in secret. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted>
}

export interface ServiceCall {
  /** Makes the call. `what` says what is tried, for who reads the error: "create run digits". */
  readonly call: (
    what: string,
    request: HttpClientRequest.HttpClientRequest,
    options?: CallOptions
  ) => Effect.Effect<Answer, BackendError>
  /** The same, and the answer as JSON of this shape. Another shape is a broken answer, not a refusal: it is `Transient`. */
  readonly json: <A>(
    what: string,
    request: HttpClientRequest.HttpClientRequest,
    schema: Schema.Decoder<A>,
    options?: CallOptions
  ) => Effect.Effect<A, BackendError>
}

const errorBytesMax = 64 * 1024
const excerptChars = 300
const redirectsMax = 5
const everyName = [/./]

// In every JavaScript runtime, but not in the language's own library of types.
declare const btoa: (text: string) => string
declare const TextDecoder: new () => { readonly decode: (bytes: Uint8Array) => string }
interface Address {
  readonly href: string
  readonly origin: string
  readonly protocol: string
  readonly hostname: string
  readonly pathname: string
  readonly search: string
}
declare const URL: new (url: string, base: string) => Address

/** A call under way: what its errors are made of. */
interface Attempt extends Required<Omit<CallOptions, "classify">> {
  readonly classify: Classify | undefined
  readonly fail: (reason: Reason, came: string, advice: string) => BackendError
  readonly redact: (text: string) => string
}

export const make = (options: Options): Effect.Effect<ServiceCall, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const call: ServiceCall["call"] = (what, request, own) => callOnce(client, options, what, request, own)
    return {
      call,
      json: (what, request, schema, own) =>
        Effect.flatMap(call(what, request, own), (answer) => {
          const decoded = Schema.decodeUnknownResult(Schema.fromJsonString(schema))(decodeText(answer.body))
          if (Result.isSuccess(decoded)) return Effect.succeed(decoded.success)
          const { fail, redact } = attempt(options, what, signed(request), own)
          const isHtml = textOf(answer).startsWith("<")
          return Effect.fail(
            fail(
              new Transient(),
              `the answer (${answer.status}) is ${isHtml ? "a page" : "not as expected"}: ${excerpt(answer, redact)}`,
              isHtml
                ? "Is this the address of the service's API, and does a proxy stand before it?"
                : "The answer was cut off, or is of another version of the service."
            )
          )
        })
    }
  })

const callOnce = (
  client: HttpClient.HttpClient,
  options: Options,
  what: string,
  unsigned: HttpClientRequest.HttpClientRequest,
  own: CallOptions | undefined
): Effect.Effect<Answer, BackendError> => {
  const request = signed(unsigned)
  const it = attempt(options, what, request, own)
  const late = `no complete answer came within ${said(it.answerWithin)}`
  return Effect.gen(function* () {
    const answer = yield* follow(client, it, request)
    const verdict = it.classify?.(answer)
    if (verdict === "accepted") return answer
    if (verdict === undefined && answer.status >= 200 && answer.status < 300) return answer
    const { reason, advice } = verdict ?? verdictOf(answer.status, answer.headers, yield* Clock.currentTimeMillis)
    return yield* it.fail(reason, `it answered ${answer.status}: ${excerpt(answer, it.redact)}`, advice)
  }).pipe(
    Effect.timeoutOrElse({
      duration: it.answerWithin,
      orElse: () => Effect.fail(it.fail(new Transient(), late, "The service is slow, or hangs."))
    }),
    // What an answer to somebody else's server must not carry, and a span must not hold.
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.provideService(Headers.CurrentRedactedNames, everyName),
    Effect.provideService(UrlParams.CurrentRedactedNames, everyName)
  )
}

const attempt = (
  { backend, secrets = [], ...defaults }: Options,
  what: string,
  request: HttpClientRequest.HttpClientRequest,
  own: CallOptions = {}
): Attempt => {
  const redact = redactor(request.headers, secrets)
  const url = Result.getOrUndefined(addressOf(request))
  const target = `${request.method} ${url === undefined ? "an address that is none" : shownUrl(url)}`
  return {
    firstByteWithin: own.firstByteWithin ?? defaults.firstByteWithin ?? "30 seconds",
    answerWithin: own.answerWithin ?? defaults.answerWithin ?? "2 minutes",
    answerBytesMax: own.answerBytesMax ?? defaults.answerBytesMax ?? 16 * 1024 * 1024,
    classify: own.classify ?? defaults.classify,
    redact,
    // No cause: those of a client hold the request, with all that it carries.
    fail: (reason, came, advice) =>
      new BackendError({
        backend,
        reason,
        message: `${backend} could not ${redact(what)} (${redact(target)}): ${came.replace(/\.$/, "")}. ${advice}`
      })
  }
}

/** With our name on it, and with what its address says of user and password as a header: no client sends these otherwise. */
const signed = (request: HttpClientRequest.HttpClientRequest): HttpClientRequest.HttpClientRequest => {
  const named = HttpClientRequest.setHeader(request, "user-agent", userAgent)
  const url = Result.getOrUndefined(addressOf(request))
  if (url === undefined || (url.username === "" && url.password === "")) return named
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  const bare = HttpClientRequest.setUrl(named, request.url.replace(/\/\/[^/?#]*@/, "//"))
  return bare.headers["authorization"] === undefined
    ? HttpClientRequest.setHeader(bare, "authorization", `Basic ${btoa(login)}`)
    : bare
}

const addressOf = (request: HttpClientRequest.HttpClientRequest) =>
  Url.make(request.url, request.urlParams, Option.getOrUndefined(request.hash))

/** The answer behind redirects that may be followed: those of a GET that stay where the request, with all it carries, was meant to go. */
const follow = (
  client: HttpClient.HttpClient,
  it: Attempt,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Answer, BackendError> =>
  Effect.gen(function* () {
    let current = request
    for (let redirects = 0; ; redirects++) {
      const answer = yield* ask(client, it, current)
      const location = answer.headers["location"]
      if (answer.status < 300 || answer.status >= 400 || location === undefined) return answer
      const from = yield* Effect.mapError(Effect.fromResult(addressOf(current)), () => noAddress(it))
      const to = yield* Effect.mapError(
        Effect.try({ try: () => new URL(location, from.href), catch: () => undefined }),
        () => it.fail(new Transient(), `it answered ${answer.status} without a place to go`, "Is a proxy in the way?")
      )
      const target = it.redact(shownUrl(to))
      const isUpgrade = from.protocol === "http:" && to.protocol === "https:" && from.hostname === to.hostname
      if (current.method !== "GET" || !(to.origin === from.origin || isUpgrade)) {
        return yield* it.fail(
          new Transient(),
          `it was sent on to ${target} (${answer.status}), where credentials and data are not sent`,
          "If that is where the service is, give its address; else a proxy or a login page is in the way."
        )
      }
      if (redirects === redirectsMax) {
        const advice = "The service or a proxy before it sends it round in a circle."
        return yield* it.fail(new Transient(), `it was sent on ${redirectsMax} times, last to ${target}`, advice)
      }
      current = HttpClientRequest.setUrl(HttpClientRequest.setUrlParams(current, []), to.href)
    }
  })

/** One request and its answer, without redirects. */
const ask = (
  client: HttpClient.HttpClient,
  it: Attempt,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Answer, BackendError> =>
  Effect.gen(function* () {
    const init = yield* Effect.serviceOption(FetchHttpClient.RequestInit)
    const response = yield* client.execute(request).pipe(
      Effect.provideService(FetchHttpClient.RequestInit, { ...Option.getOrUndefined(init), redirect: "manual" }),
      Effect.mapError((error) => notSent(it, error)),
      Effect.timeoutOrElse({
        duration: it.firstByteWithin,
        orElse: () =>
          Effect.fail(
            it.fail(
              new Transient(),
              `no answer began within ${said(it.firstByteWithin)}`,
              "Is the service overloaded, or something before it that takes connections and answers nothing?"
            )
          )
      })
    )
    const { headers, status } = response
    const isSuccess = status >= 200 && status < 300
    return { status, headers, body: yield* isSuccess ? whole(it, response) : beginning(response) }
  })

const said = (input: Duration.Input): string => Duration.format(Duration.fromInputUnsafe(input))

const noAddress = (it: Attempt): BackendError =>
  it.fail(new Held(), "that is no address", "Give one that begins with http:// or https://.")

const notSent = (it: Attempt, { reason }: HttpClientError.HttpClientError): BackendError => {
  if (reason._tag === "InvalidUrlError") return noAddress(it)
  if (reason._tag === "EncodeError")
    return it.fail(new Poison(), "the request could not be built", "This is a fault of the backend.")
  const { advice, came } = failureOf(reason)
  return it.fail(new Transient(), came, advice)
}

/** The body of a success: all of it, or a failure. */
const whole = (
  it: Attempt,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<Uint8Array, BackendError> => {
  const tooLong = () =>
    it.fail(
      new Transient(),
      `its answer (${response.status}) is longer than ${it.answerBytesMax} bytes and was not read`,
      "Is this the address of the service's API?"
    )
  if (Number(response.headers["content-length"]) > it.answerBytesMax) return Effect.fail(tooLong())
  return Effect.flatMap(collect(response, it.answerBytesMax), ({ body, ended, error }) => {
    if (ended === "full") return Effect.fail(tooLong())
    if (ended === "complete") return Effect.succeed(body)
    const { came, advice } = failureOf(error)
    return Effect.fail(it.fail(new Transient(), `its answer (${response.status}) broke off: ${came}`, advice))
  })
}

/** What explains a failure: as much as comes at once, since the status says enough. */
const beginning = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<Uint8Array> =>
  Effect.map(collect(response, errorBytesMax, "2 seconds"), ({ body }) => body)

interface Collected {
  readonly body: Uint8Array
  readonly ended: "complete" | "full" | "broken" | "late"
  readonly error?: unknown
}

const collect = (
  response: HttpClientResponse.HttpClientResponse,
  bytesMax: number,
  within: Duration.Input = Duration.infinity
): Effect.Effect<Collected> =>
  Effect.suspend(() => {
    const parts: Array<Uint8Array> = []
    let length = 0
    const body = () => {
      const all = new Uint8Array(Math.min(length, bytesMax))
      let at = 0
      for (const part of parts) {
        all.set(part.subarray(0, all.length - at), at)
        at += Math.min(part.length, all.length - at)
      }
      return all
    }
    return Stream.runForEachWhile(response.stream, (part) =>
      Effect.sync(() => {
        parts.push(part)
        length += part.length
        return length <= bytesMax
      })
    ).pipe(
      Effect.map((): Collected => ({ body: body(), ended: length > bytesMax ? "full" : "complete" })),
      Effect.catch((error) =>
        Effect.succeed<Collected>(
          // An answer without a body is complete.
          error.reason._tag === "EmptyBodyError"
            ? { body: body(), ended: "complete" }
            : { body: body(), ended: "broken", error }
        )
      ),
      Effect.timeoutOrElse({
        duration: within,
        orElse: () => Effect.sync((): Collected => ({ body: body(), ended: "late" }))
      })
    )
  })

const textOf = ({ body }: Answer): string => new TextDecoder().decode(body.subarray(0, errorBytesMax)).trim()

/** What a person may read of an answer. */
const excerpt = (answer: Answer, redact: (text: string) => string): string => {
  const text = textOf(answer)
  const plain = text.startsWith("<") ? text.replace(/<(style|script)[^>]*>[^]*?<\/\1>|<[^>]*>/gi, " ") : text
  // Redacted before it is cut: half a secret is one too.
  const shown = redact(plain)
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
  if (shown === "") return "(nothing)"
  return shown.length > excerptChars ? `${shown.slice(0, excerptChars)}…` : shown
}
