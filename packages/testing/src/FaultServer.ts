/**
 * A real HTTP server on a free port of this machine, before an upstream, that misbehaves on a script: each request meets the next entry, and
 * when the script has run out what stands until told otherwise. It remembers what each request met.
 *
 * A refused connection is nothing that a request can meet: `refuse` closes the listener, and `listen` opens it again on the same port.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse
} from "node:http"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { pass, type Fault } from "./Fault.ts"
import type { Received, Reply, Upstream } from "./Upstream.ts"

/** What one request met. */
export interface Met {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly fault: Fault["_tag"]
  /** True when the upstream did what was asked, whether or not its answer arrived. */
  isApplied: boolean
  /** Of the answer's body, as far as the connection took it. */
  bytesSent: number
}

export class FaultServer extends Context.Service<
  FaultServer,
  {
    /** `http://127.0.0.1:<port>`. */
    readonly url: string
    readonly port: number
    /** The next requests meet these, one each; they come behind what is left of the script. */
    readonly script: (...faults: ReadonlyArray<Fault>) => Effect.Effect<void>
    /** What every request behind the script meets from now on. At first `pass`. */
    readonly always: (fault: Fault) => Effect.Effect<void>
    /** Closes the listener and all connections: who calls is refused. */
    readonly refuse: Effect.Effect<void>
    readonly listen: Effect.Effect<void>
    /** What the last 10,000 requests met, the oldest first. */
    readonly met: () => ReadonlyArray<Met>
    /** How many requests met what, from the beginning. */
    readonly counts: () => Readonly<Partial<Record<Fault["_tag"], number>>>
  }
>()("@tracelet/testing/FaultServer") {}

const metMax = 10_000
const pieceBytes = 64 * 1024

export const make = (upstream: Upstream): Effect.Effect<FaultServer["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const script: Array<Fault> = []
    const met: Array<Met> = []
    const counts: Partial<Record<Fault["_tag"], number>> = {}
    let standing: Fault = pass
    const server = createServer((request, response) => {
      const fault = script.shift() ?? standing
      const { headers, method = "", url: path = "" } = request
      const entry: Met = { method, path, headers, fault: fault._tag, isApplied: false, bytesSent: 0 }
      met.push(entry)
      if (met.length > metMax) met.shift()
      counts[fault._tag] = (counts[fault._tag] ?? 0) + 1
      // A client that goes away in the middle is what this server is for.
      void misbehave({ upstream, fault, entry, request, response }).catch(() => request.socket.destroy())
    })
    yield* listening(server, 0)
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    yield* Effect.addFinalizer(() => closed(server))
    return FaultServer.of({
      url: `http://127.0.0.1:${port}`,
      port,
      script: (...faults) => Effect.sync(() => void script.push(...faults)),
      always: (fault) => Effect.sync(() => void (standing = fault)),
      refuse: closed(server),
      listen: Effect.suspend(() => (server.listening ? Effect.void : listening(server, port))),
      met: () => met,
      counts: () => counts
    })
  })

export const layer = (upstream: Upstream): Layer.Layer<FaultServer> => Layer.effect(FaultServer, make(upstream))

const listening = (server: Server, port: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.once("error", (error) => resume(Effect.die(error)))
    server.listen(port, "127.0.0.1", () => resume(Effect.void))
  })

const closed = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (!server.listening) return resume(Effect.void)
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

interface Exchange {
  readonly upstream: Upstream
  readonly fault: Fault
  readonly entry: Met
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

const misbehave = async (exchange: Exchange): Promise<void> => {
  const { fault, request, response } = exchange
  const reset = () => void request.socket.resetAndDestroy()
  switch (fault._tag) {
    case "Pass":
      return end(exchange, await applied(exchange))
    case "SkewedDate":
      return end(exchange, await applied(exchange), dated(fault.skewMs))
    case "BlackHole":
      return void request.resume()
    case "ResetRequest":
      request.once("data", reset)
      request.once("end", reset)
      return
    case "ApplyThenReset":
      await applied(exchange)
      return reset()
    case "ResetAnswer": {
      const reply = await applied(exchange)
      const bytes = Buffer.from(reply.body)
      head(response, reply, { "content-length": Math.max(bytes.length, 2) })
      // Half of it has left when it is reset.
      response.write(bytes.length < 2 ? " " : bytes.subarray(0, bytes.length >> 1), reset)
      return
    }
    case "TruncatedAnswer": {
      const reply = await applied(exchange)
      const bytes = Buffer.from(reply.body)
      return end(exchange, { ...reply, body: bytes.subarray(0, bytes.length >> 1) })
    }
    case "Status":
      await received(request)
      return end(exchange, fault)
    case "Throttle": {
      await received(request)
      const headers: OutgoingHttpHeaders = { ...dated(fault.skewMs), ...asked(fault.retryAfter, fault.skewMs) }
      return end(exchange, { status: fault.status, body: "Too many requests" }, headers)
    }
    case "Redirect":
      await received(request)
      return end(exchange, { status: fault.status, body: "" }, { location: fault.location })
    case "HugeAnswer":
      await received(request)
      return pour(exchange, fault.bytes, fault.isChunked)
    case "Trickle":
      return trickle(exchange, await applied(exchange), fault.everyMs)
  }
}

const received = async (request: IncomingMessage): Promise<Buffer> => {
  const parts: Array<Buffer> = []
  for await (const part of request) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

const applied = async ({ entry, request, upstream }: Exchange): Promise<Reply> => {
  const { headers, method = "", url: path = "" } = request
  const asking: Received = { method, path, headers, body: await received(request) }
  const reply = await upstream(asking)
  entry.isApplied = true
  return reply
}

const head = (response: ServerResponse, { headers, status }: Reply, more: OutgoingHttpHeaders = {}) => {
  if ("date" in more) response.sendDate = false
  response.writeHead(status, { ...headers, ...more })
}

const end = ({ entry, response }: Exchange, reply: Reply, more: OutgoingHttpHeaders = {}): void => {
  const bytes = Buffer.from(reply.body)
  head(response, reply, { "content-length": bytes.length, ...more })
  response.end(bytes, () => void (entry.bytesSent = bytes.length))
}

const dated = (skewMs: number): OutgoingHttpHeaders => ({ date: new Date(Date.now() + skewMs).toUTCString() })

const asked = (
  retryAfter: Extract<Fault, { readonly _tag: "Throttle" }>["retryAfter"],
  skewMs: number
): OutgoingHttpHeaders => {
  if (retryAfter === undefined) return {}
  if ("text" in retryAfter) return { "retry-after": retryAfter.text }
  if ("seconds" in retryAfter) return { "retry-after": String(retryAfter.seconds) }
  return { "retry-after": new Date(Date.now() + skewMs + retryAfter.dateInMs).toUTCString() }
}

/** As fast as it is taken, and no further than the client holds the connection. */
const pour = ({ entry, response }: Exchange, bytes: number, isChunked: boolean): Promise<void> => {
  response.writeHead(200, { "content-type": "application/json", ...(isChunked ? {} : { "content-length": bytes }) })
  const piece = Buffer.alloc(pieceBytes, " ")
  const pieces = function* () {
    for (let left = bytes; left > 0; left -= pieceBytes) {
      yield piece.subarray(0, Math.min(left, pieceBytes))
      entry.bytesSent += Math.min(left, pieceBytes)
    }
  }
  return pipeline(Readable.from(pieces()), response)
}

const trickle = ({ entry, response }: Exchange, reply: Reply, everyMs: number): void => {
  const bytes = Buffer.from(reply.body)
  head(response, reply, { "content-length": bytes.length })
  response.flushHeaders()
  const timer = setInterval(() => {
    if (entry.bytesSent === bytes.length || response.destroyed) return void (clearInterval(timer), response.end())
    response.write(bytes.subarray(entry.bytesSent, ++entry.bytesSent))
  }, everyMs)
  response.once("close", () => clearInterval(timer))
}
