import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { inspect } from "node:util"
import { describe } from "vitest"
import * as Fault from "../src/Fault.ts"
import * as FaultServer from "../src/FaultServer.ts"
import * as Upstream from "../src/Upstream.ts"

const upstream: Upstream.Upstream = ({ method, path, body }) => Upstream.json({ method, path, body: body.toString() })

const ask = (url: string, body = "hello") =>
  Effect.promise(() =>
    fetch(url, { method: "POST", body, redirect: "manual" }).then(
      async (response) => ({ status: response.status, headers: response.headers, text: await response.text() }),
      (error: unknown) => inspect(error)
    )
  )

describe("a server that misbehaves on a script", () => {
  it.live("meets each request with the next entry, then with what stands, and remembers it", () =>
    Effect.gen(function* () {
      const server = yield* FaultServer.make(upstream)
      yield* server.script(Fault.applyThenReset, Fault.pass, Fault.resetRequest)
      yield* server.always(Fault.unauthorised)
      const answers = []
      for (let i = 0; i < 5; i++) answers.push(yield* ask(`${server.url}/a?b=1`))
      const statuses = answers.map((answer) => (typeof answer === "string" ? "broken" : answer.status))
      assert.deepStrictEqual(statuses, ["broken", 200, "broken", 401, 401])
      assert.deepStrictEqual(
        server.met().map(({ fault, isApplied, path }) => [fault, isApplied, path]),
        [
          ["ApplyThenReset", true, "/a?b=1"],
          ["Pass", true, "/a?b=1"],
          ["ResetRequest", false, "/a?b=1"],
          ["Status", false, "/a?b=1"],
          ["Status", false, "/a?b=1"]
        ]
      )
      assert.deepStrictEqual(server.counts(), { ApplyThenReset: 1, Pass: 1, ResetRequest: 1, Status: 2 })
    }).pipe(Effect.scoped)
  )

  it.live("refuses until it is told to listen, at the same port", () =>
    Effect.gen(function* () {
      const server = yield* FaultServer.make(upstream)
      yield* server.refuse
      assert.include(yield* ask(server.url), "ECONNREFUSED")
      yield* server.listen
      assert.deepInclude(yield* ask(server.url), { status: 200 })
    }).pipe(Effect.scoped)
  )

  it.live("passes on to a real server what it is sent, and says so when that one is away", () =>
    Effect.gen(function* () {
      const real = yield* FaultServer.make(upstream)
      const server = yield* FaultServer.make(Upstream.server(real.url))
      const answer = yield* ask(`${server.url}/x`, "über")
      assert.deepInclude(answer, { status: 200, text: `{"method":"POST","path":"/x","body":"über"}` })
      yield* real.refuse
      assert.deepInclude(yield* ask(server.url), { status: 502 })
    }).pipe(Effect.scoped)
  )

  it.live("says another time, and asks to wait by that time", () =>
    Effect.gen(function* () {
      const server = yield* FaultServer.make(upstream)
      const hour = 3_600_000
      yield* server.script(Fault.skewedDate(-hour), Fault.throttle({ dateInMs: 10_000 }, { skewMs: hour }))
      for (const [skewMs, waitMs] of [
        [-hour, undefined],
        [hour, hour + 10_000]
      ] as const) {
        const answer = yield* ask(server.url)
        assert(typeof answer === "object")
        assert.approximately(Date.parse(answer.headers.get("date") ?? ""), Date.now() + skewMs, 5_000)
        const until = answer.headers.get("retry-after")
        if (waitMs === undefined) assert.isNull(until)
        else assert.approximately(Date.parse(until ?? ""), Date.now() + waitMs, 5_000)
      }
    }).pipe(Effect.scoped)
  )

  it.live("sends an answer of any length, in pieces or with its length", () =>
    Effect.gen(function* () {
      const server = yield* FaultServer.make(upstream)
      const bytes = 300_001
      yield* server.script(Fault.hugeAnswer({ bytes, isChunked: true }), Fault.hugeAnswer({ bytes, isChunked: false }))
      for (const length of [null, String(bytes)]) {
        const answer = yield* ask(server.url)
        assert(typeof answer === "object")
        assert.strictEqual(answer.text.length, bytes)
        assert.strictEqual(answer.headers.get("content-length"), length)
      }
    }).pipe(Effect.scoped)
  )
})
