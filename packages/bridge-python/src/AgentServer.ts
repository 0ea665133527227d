/**
 * The agent's side of its socket: routes, token and limits (docs/spec/agent.md). What a request does is the agent's; nothing here knows of
 * runs.
 *
 * `node:http` and not Effect's server: the agent must listen within a moment of its start, and this is the least a Node server can do.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { hash, timingSafeEqual } from "node:crypto"
import { unlinkSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { connect } from "node:net"
import { AgentError, Announcement, bodyBytesMax, type AgentStatus, type RunView } from "./AgentApi.ts"

export interface Routes {
  readonly status: Effect.Effect<AgentStatus, AgentError>
  /** `undefined`: not here. */
  readonly run: (id: string) => Effect.Effect<RunView | undefined, AgentError>
  readonly announce: (announcement: Announcement) => Effect.Effect<RunView | undefined, AgentError>
  readonly stop: Effect.Effect<void>
}

/** Sockets open at once. A trainer and a command line need one each for a moment. */
const connectionsMax = 64

/** How much of a body that is too long is read before the client is cut off. */
const forgottenBytesMax = 16 * bodyBytesMax

/** How long a client may take for a request, and keep a connection that it does not use. */
const requestMsMax = 10_000
const keepAliveMs = 5_000

/**
 * Listens on `path` until the scope closes, and removes the socket then. A file of a dead agent in that place is removed first; when
 * somebody answers there the path is not ours (the folder is shared by hosts, or was copied), and it fails.
 */
export const serve = (path: string, token: string, routes: Routes): Effect.Effect<void, AgentError, Scope.Scope> =>
  Effect.gen(function* () {
    const run = Effect.runForkWith(yield* Effect.context())
    const expected = hash("sha256", `Bearer ${token}`, "buffer")
    const server = createServer((request, response) => {
      // Hashed first, so that the comparison takes as long whatever was sent.
      const given = hash("sha256", request.headers.authorization ?? "", "buffer")
      if (!timingSafeEqual(given, expected)) {
        request.resume()
        return send(response, 401)
      }
      run(
        answer(request, routes).pipe(
          Effect.catchCause((cause) =>
            Effect.as(
              Effect.logError(`${request.method} ${request.url} failed`, cause),
              refusal(500, "see the agent's log")
            )
          ),
          Effect.map(({ status, body }) => send(response, status, body))
        )
      )
    })
    server.maxConnections = connectionsMax
    server.requestTimeout = requestMsMax
    server.headersTimeout = requestMsMax
    server.keepAliveTimeout = keepAliveMs
    yield* Effect.acquireRelease(listen(server, path), () =>
      Effect.callback<void>((resume) => {
        // Answers under way are on the wire within the moment that `closeIdleConnections` leaves them.
        server.close(() => resume(Effect.void))
        server.closeIdleConnections()
        setTimeout(() => server.closeAllConnections(), 100)
      })
    )
  })

interface Answer {
  readonly status: number
  readonly body?: unknown
}

const refusal = (status: number, error: string): Answer => ({ status, body: { error } })

const send = (response: ServerResponse, status: number, body?: unknown): void => {
  const text = body === undefined ? "" : JSON.stringify(body)
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
  response.end(text)
}

const answer = (request: IncomingMessage, routes: Routes): Effect.Effect<Answer, AgentError> => {
  const [path] = (request.url ?? "").split("?")
  const id = /^\/v1\/runs\/([^/]+)$/.exec(path ?? "")?.[1]
  switch (`${request.method} ${id === undefined ? path : "/v1/runs/ID"}`) {
    case "GET /v1/status":
      return Effect.map(routes.status, (body) => ({ status: 200, body }))
    case "GET /v1/runs/ID":
      return Effect.map(routes.run(id ?? ""), runAnswer)
    case "POST /v1/stop":
      request.resume()
      return Effect.as(routes.stop, { status: 202, body: {} })
    case "POST /v1/runs":
      return Effect.flatMap(readBody(request), (body) => {
        if (typeof body !== "string") return Effect.succeed(body)
        const announcement = decodeAnnouncement(body)
        return Result.isSuccess(announcement)
          ? Effect.map(routes.announce(announcement.success), runAnswer)
          : // The message lists paths and what was expected, never what was sent: that may be a secret.
            Effect.succeed(refusal(400, `The body is not an announcement: ${announcement.failure.message}`))
      })
    default:
      request.resume()
      return Effect.succeed(refusal(404, "There is no such thing here."))
  }
}

const runAnswer = (run: RunView | undefined): Answer =>
  run === undefined ? refusal(404, "That run is not delivered here.") : { status: 200, body: run }

const decodeAnnouncement = Schema.decodeUnknownResult(Schema.fromJsonString(Announcement))

/**
 * The whole body as text, or the answer that refuses it. What is too long is read to its end and forgotten: a client that is cut off while
 * it sends does not see the answer.
 */
const readBody = (request: IncomingMessage): Effect.Effect<string | Answer> =>
  Effect.callback((resume) => {
    const parts: Array<Buffer> = []
    let bytes = 0
    const refuse = () => resume(Effect.succeed(refusal(413, `A body may have at most ${bodyBytesMax} bytes.`)))
    request.on("data", (part: Buffer) => {
      bytes += part.length
      if (bytes <= bodyBytesMax) parts.push(part)
      else if (bytes > forgottenBytesMax) refuse()
      else parts.length = 0
    })
    request.on("end", () => {
      if (bytes > bodyBytesMax) refuse()
      else resume(Effect.succeed(Buffer.concat(parts).toString("utf8")))
    })
    request.on("error", (error) => resume(Effect.succeed(refusal(400, `The body broke off: ${error.message}`))))
  })

const listen = (server: Server, path: string): Effect.Effect<void, AgentError> =>
  bind(server, path).pipe(
    Effect.catchIf(
      (error) => error.code === "EADDRINUSE",
      () =>
        Effect.flatMap(isAnswered(path), (answered) =>
          answered
            ? Effect.fail({
                code: "EADDRINUSE",
                message: "another agent listens there: end it, or set XDG_RUNTIME_DIR"
              })
            : Effect.andThen(
                Effect.ignore(Effect.try({ try: () => unlinkSync(path), catch: String })),
                bind(server, path)
              )
        )
    ),
    Effect.mapError(({ message }) => new AgentError({ status: 0, message: `Could not listen on ${path}: ${message}.` }))
  )

interface BindError {
  readonly code: string | undefined
  readonly message: string
}

const bind = (server: Server, path: string): Effect.Effect<void, BindError> =>
  Effect.callback((resume) => {
    const failed = ({ code, message }: NodeJS.ErrnoException) => resume(Effect.fail({ code, message }))
    server.once("error", failed)
    server.listen(path, () => {
      server.off("error", failed)
      resume(Effect.void)
    })
  })

const isAnswered = (path: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = connect(path)
    const done = (answered: boolean) => {
      socket.destroy()
      resume(Effect.succeed(answered))
    }
    socket.once("connect", () => done(true))
    socket.once("error", () => done(false))
  })
