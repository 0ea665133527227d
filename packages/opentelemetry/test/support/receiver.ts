/** A receiver of OTLP over HTTP that keeps what it is sent, and answers as it is told. */
import { createServer, type IncomingHttpHeaders } from "node:http"
import { gunzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Receiver {
  readonly url: string
  readonly received: ReadonlyArray<Received>
}

/** A status, or the body of a success; `"silent"` takes the request and never answers. */
export type Answer = number | "silent" | { readonly body: string }

export const start = (answer: () => Answer = () => 200): Effect.Effect<Receiver, never, Scope.Scope> =>
  Effect.gen(function* () {
    const received: Array<Received> = []
    const server = createServer((request, response) => {
      const parts: Array<Buffer> = []
      request.on("data", (part: Buffer) => parts.push(part))
      request.on("end", () => {
        const raw = Buffer.concat(parts)
        const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw
        received.push({ path: request.url ?? "", headers: request.headers, body })
        const given = answer()
        if (given === "silent") return
        const [status, text] = typeof given === "number" ? [given, "{}"] : [200, given.body]
        response.writeHead(status, { "content-type": "application/json" }).end(text)
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.promise(() => {
          server.closeAllConnections()
          return new Promise((resolve) => server.close(resolve))
        })
    )
    const address = server.address()
    return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, received }
  })
