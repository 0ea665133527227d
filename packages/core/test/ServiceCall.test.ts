import { assert, it } from "@effect/vitest"
import * as Fault from "@tracelet/testing/Fault"
import * as FaultServer from "@tracelet/testing/FaultServer"
import * as Upstream from "@tracelet/testing/Upstream"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { readFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { inspect } from "node:util"
import { describe } from "vitest"
import { Held, type BackendError, type Reason } from "../src/BackendError.ts"
import * as ServiceCall from "../src/ServiceCall.ts"
import { retryAfterSeconds } from "../src/internal/service/verdict.ts"

const Taken = Schema.Struct({ taken: Schema.Int })
const upstream: Upstream.Upstream = () => Upstream.json({ taken: 1 })

const secret = `s3cr3t/"+word`
const login = Redacted.make(secret)

const short = { firstByteWithin: "250 millis", answerWithin: "600 millis", answerBytesMax: 1024 * 1024 } as const

/** A call with credentials, to a server that meets it with `faults`. */
const call = (
  faults: ReadonlyArray<Fault.Fault>,
  method: "GET" | "POST" = "POST",
  options: ServiceCall.CallOptions = {}
) =>
  Effect.gen(function* () {
    const server = yield* FaultServer.make(upstream)
    yield* server.script(...faults)
    const exit = yield* to(`${server.url}/log?run=1&token=${encodeURIComponent(secret)}`, method, options)
    return { ...exit, server }
  })

const to = (url: string, method: "GET" | "POST" = "POST", options: ServiceCall.CallOptions = {}) =>
  Effect.gen(function* () {
    const service = yield* ServiceCall.make({ backend: "service", ...short, secrets: [login] })
    const request = HttpClientRequest.make(method)(url).pipe(
      HttpClientRequest.basicAuth("user", secret),
      HttpClientRequest.setHeader("x-api-key", `key ${secret}`)
    )
    const sent = method === "GET" ? request : HttpClientRequest.bodyText(request, `{"value":1}`, "application/json")
    return yield* Effect.match(service.json("log a batch", sent, Taken, options), {
      onSuccess: (answer) => ({ answer, error: undefined }),
      onFailure: (error) => ({ answer: undefined, error })
    })
  }).pipe(Effect.provide(FetchHttpClient.layer))

const held = (error: BackendError | undefined, reason: Reason["_tag"], ...says: ReadonlyArray<string | RegExp>) => {
  assert.strictEqual(error?.reason._tag, reason, error?.message)
  for (const one of says) assert.match(error?.message ?? "", one instanceof RegExp ? one : new RegExp(one))
  assert.match(error?.message ?? "", /^service could not log a batch \((GET|POST) https?:\/\/[^)]*\): /)
  silent(error)
}

/** Wherever somebody may look at an error. */
const silent = (error: BackendError | undefined) => {
  for (const text of [error?.message, JSON.stringify(error), inspect(error, { depth: 10 }), String(error?.stack)]) {
    for (const one of [secret, "s3cr3t", encodeURIComponent(secret), btoa(`user:${secret}`)])
      assert.notInclude(text, one)
  }
}

describe("a call to a service", () => {
  it.live("says who we are, and tells others nothing about our traces", () =>
    Effect.gen(function* () {
      const { answer, server } = yield* call([])
      assert.deepStrictEqual(answer, { taken: 1 })
      const headers = server.met()[0]?.headers
      assert.strictEqual(headers?.["user-agent"], ServiceCall.userAgent)
      assert.isEmpty(Object.keys(headers ?? {}).filter((name) => /trace|b3/.test(name)))
      const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"))
      assert.strictEqual(ServiceCall.userAgent, `tracelet/${version}`)
    }).pipe(Effect.withSpan("a parent"), Effect.scoped)
  )

  const cases: ReadonlyArray<readonly [string, Fault.Fault, Reason["_tag"], RegExp]> = [
    ["reset before the body is read", Fault.resetRequest, "Transient", /ECONNRESET|closed/],
    ["reset after it was applied", Fault.applyThenReset, "Transient", /ECONNRESET|closed/],
    ["reset in the middle of the answer", Fault.resetAnswer, "Transient", /broke off/],
    ["taken and never answered", Fault.blackHole, "Transient", /no answer began within 250ms/],
    ["answered one byte at a time", Fault.trickle(100), "Transient", /no complete answer came within 600ms/],
    ["answered with half of the JSON", Fault.truncatedAnswer, "Transient", /not as expected: {"tak/],
    ["answered with other JSON", Fault.wrongSchema, "Transient", /not as expected: {"unexpected/],
    ["answered with a page", Fault.page, "Transient", /is a page: Please log in Welcome/],
    [
      "answered with a gigabyte in pieces",
      Fault.hugeAnswer({ isChunked: true }),
      "Transient",
      /longer than 1048576 bytes/
    ],
    ["answered with a gigabyte and its length", Fault.hugeAnswer({ isChunked: false }), "Transient", /longer than/],
    ["answered 500 with a page", Fault.badGateway, "Transient", /it answered 500: 500 Internal Server Error 500/],
    ["answered 408", Fault.status(408), "Transient", /it answered 408: \(nothing\)/],
    ["answered 425", Fault.status(425), "Transient", /425/],
    ["answered 503", Fault.status(503), "Transient", /503/],
    ["answered 429", Fault.throttle(undefined), "Throttled", /it answered 429: Too many requests/],
    ["answered 401", Fault.unauthorised, "Unauthorised", /Check user, password or token/],
    ["answered 403", Fault.forbidden, "Held", /Permission denied/],
    ["answered 400", Fault.status(400, `{"message":"no such key"}`), "Poison", /no such key/],
    ["sent on with a POST", Fault.redirect("/elsewhere"), "Transient", /sent on to http:\/\/127.0.0.1:\d+\/elsewhere/]
  ]
  for (const [what, fault, reason, says] of cases) {
    it.live(`fails as ${reason} when it is ${what}`, () =>
      Effect.gen(function* () {
        const { error, server } = yield* call([fault])
        held(error, reason, says)
        assert.strictEqual(server.met().length, 1)
      }).pipe(Effect.scoped)
    )
  }

  it.live("leaves what is too long to the service, instead of reading it", () =>
    Effect.gen(function* () {
      for (const isChunked of [true, false]) {
        const { server } = yield* call([Fault.hugeAnswer({ isChunked })])
        // What is on its way in the buffers of both ends, and no gigabyte.
        assert.isBelow(server.met()[0]?.bytesSent ?? Infinity, 32 * 1024 * 1024)
      }
    }).pipe(Effect.scoped)
  )

  it.live("names a refused connection, a name that is not known, what is no TLS and what is no HTTP", () =>
    Effect.gen(function* () {
      const server = yield* FaultServer.make(upstream)
      held(
        (yield* to(`https://user:${encodeURIComponent(secret)}@127.0.0.1:${server.port}/`)).error,
        "Transient",
        "no TLS"
      )
      const noHttp = yield* Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const greeting = createServer((socket) => socket.end("SSH-2.0-server\r\n"))
          greeting.listen(0, "127.0.0.1", () => resume(Effect.succeed(greeting)))
        }),
        (greeting) => Effect.sync(() => greeting.close())
      )
      const { port } = Schema.decodeUnknownSync(Schema.Struct({ port: Schema.Int }))(noHttp.address())
      held((yield* to(`http://127.0.0.1:${port}`)).error, "Transient", "what came back is no HTTP")
      yield* server.refuse
      held((yield* to(server.url)).error, "Transient", "the connection was refused \\(ECONNREFUSED\\)")
      held((yield* to("http://nowhere.invalid/")).error, "Transient", /name (is not known|could not be looked up)/)
      const { error } = yield* to("nonsense")
      assert.strictEqual(error?.reason._tag, "Held")
      silent(error)
    }).pipe(Effect.scoped)
  )

  it.live("follows a GET that stays at its origin, and no other", () =>
    Effect.gen(function* () {
      const other = yield* FaultServer.make(upstream)
      assert.deepStrictEqual((yield* call([Fault.redirect("/there?x=1")], "GET")).answer, { taken: 1 })
      const away = yield* call([Fault.redirect(`http://u:p@127.0.0.1:${other.port}/x?token=${secret}`)], "GET")
      held(away.error, "Transient", `sent on to http://127.0.0.1:${other.port}/x\\?token=… `)
      assert.isEmpty(other.met())
      // To TLS of the same host it goes, where nothing answers here.
      held((yield* call([Fault.redirect(`https://127.0.0.1:${other.port}/`)], "GET")).error, "Transient", "no TLS")
      const circle = yield* call(
        Array.from({ length: 9 }, () => Fault.redirect("/log")),
        "GET"
      )
      held(circle.error, "Transient", "sent on 5 times")
      assert.strictEqual(circle.server.met().length, 6)
    }).pipe(Effect.scoped)
  )

  it.live("takes user and password of an address as a header", () =>
    Effect.gen(function* () {
      const server = yield* FaultServer.make(upstream)
      const service = yield* ServiceCall.make({ backend: "service" })
      const url = `http://me:${encodeURIComponent(secret)}@127.0.0.1:${server.port}/log`
      yield* service.call("log", HttpClientRequest.get(url))
      assert.strictEqual(server.met()[0]?.headers.authorization, `Basic ${btoa(`me:${secret}`)}`)
      yield* server.refuse
      silent(yield* Effect.flip(service.call("log", HttpClientRequest.get(url))))
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)
  )

  it.live("says nothing of a secret that the service sends back, whole, encoded or cut off", () =>
    Effect.gen(function* () {
      const echoes = [
        secret,
        `you sent Basic ${btoa(`user:${secret}`)}`,
        JSON.stringify({ authorization: `key ${secret}`, refresh_token: "another-5ecret" }),
        `<p>token=${encodeURIComponent(secret)}</p>`,
        `{"echo":"${secret.slice(0, 7)}`,
        `Bearer another-5ecret and more`
      ]
      for (const echo of echoes) {
        const { error } = yield* call([Fault.status(400, echo)])
        held(error, "Poison", "redacted")
        assert.notInclude(error?.message, "another-5ecret")
      }
    }).pipe(Effect.scoped)
  )

  it.live("waits as long as a service asks in either form, whatever its clock says", () =>
    Effect.gen(function* () {
      const year = 365 * 24 * 3600 * 1000
      const asked: ReadonlyArray<readonly [Fault.Fault, number, number]> = [
        [Fault.throttle({ seconds: 7 }), 7, 7],
        [Fault.throttle({ seconds: 7 }, { status: 503 }), 7, 7],
        [Fault.throttle({ dateInMs: 60_000 }), 58, 62],
        [Fault.throttle({ dateInMs: 60_000 }, { skewMs: year }), 58, 62],
        [Fault.throttle({ dateInMs: 60_000 }, { skewMs: -year }), 58, 62],
        [Fault.throttle({ dateInMs: -60_000 }), 1, 1],
        [Fault.throttle({ seconds: 0 }), 1, 1],
        [Fault.throttle({ text: "1e99" }), 1, 1],
        [Fault.throttle({ text: "-5" }), 1, 1],
        [Fault.throttle({ text: "soon" }), 1, 1],
        [Fault.throttle({ text: "9".repeat(400) }), 3600, 3600]
      ]
      for (const [fault, least, most] of asked) {
        const { error } = yield* call([fault])
        const seconds = error?.reason._tag === "Throttled" ? error.reason.retryAfterSeconds : NaN
        assert.isTrue(seconds >= least && seconds <= most, `${inspect(fault)}: ${seconds}`)
      }
      const now = Date.UTC(2026, 0, 1)
      const date = { "retry-after": "Thu, 01 Jan 2026 00:00:30 GMT" }
      assert.strictEqual(retryAfterSeconds(date, now), 30)
      assert.strictEqual(retryAfterSeconds({ ...date, date: "nonsense" }, now), 30)
    }).pipe(Effect.scoped)
  )

  it.live("leaves to a backend what an answer means", () =>
    Effect.gen(function* () {
      const classify: ServiceCall.Classify = ({ status }) =>
        status === 404 ? { reason: new Held(), advice: "Make it first." } : status === 409 ? "accepted" : undefined
      held(
        (yield* call([Fault.status(404, "no such run")], "POST", { classify })).error,
        "Held",
        "no such run. Make it first"
      )
      const there = yield* call([Fault.status(409, `{"taken":2}`)], "POST", { classify })
      assert.deepStrictEqual(there.answer, { taken: 2 })
    }).pipe(Effect.scoped)
  )

  it.live("goes on over a connection that the service closed while it was idle", () =>
    Effect.gen(function* () {
      const { answer, server } = yield* call([])
      assert.isDefined(answer)
      yield* server.refuse
      yield* server.listen
      assert.deepStrictEqual((yield* to(server.url)).answer, { taken: 1 })
    }).pipe(Effect.scoped)
  )
})
