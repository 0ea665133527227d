/** What stands behind a `FaultServer` and does what was asked: a function, or a real server. */
import { request as send, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http"

export interface Received {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Reply {
  readonly status: number
  readonly headers?: OutgoingHttpHeaders
  readonly body: string | Uint8Array
}

export type Upstream = (request: Received) => Reply | Promise<Reply>

/** JSON, as services answer. */
export const json = (value: unknown, status = 200): Reply => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value)
})

/** Of one hop: they are not passed on. */
const ofTheHop = new Set(["connection", "keep-alive", "transfer-encoding", "content-length", "date"])

/** A real server, on HTTP. Its own failures are answered with 502. */
export const server =
  (url: string): Upstream =>
  ({ method, path, headers, body }) =>
    new Promise((resolve) => {
      const failed = (error: Error) => resolve({ status: 502, body: `The upstream failed: ${error.message}` })
      const sent = send(new URL(path, url), { method, headers: { ...headers, connection: "close" } }, (response) => {
        const parts: Array<Buffer> = []
        response.on("data", (part: Buffer) => parts.push(part))
        response.once("error", failed)
        response.once("end", () =>
          resolve({
            status: response.statusCode ?? 502,
            headers: Object.fromEntries(Object.entries(response.headers).filter(([name]) => !ofTheHop.has(name))),
            body: Buffer.concat(parts)
          })
        )
      })
      sent.once("error", failed)
      sent.end(body)
    })
