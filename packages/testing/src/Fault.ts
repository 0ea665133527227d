/**
 * How a server misbehaves in answer to one request: the values a script for `FaultServer` is made of. Each is something a service, a proxy
 * or a network has been seen to do.
 */
import * as Data from "effect/Data"

export type Fault = Data.TaggedEnum<{
  /** As the upstream answers. */
  Pass: {}
  /** Takes the request and never answers. */
  BlackHole: {}
  /** Resets the connection when the request's body begins to arrive; nothing reaches the upstream. */
  ResetRequest: {}
  /** The upstream does what was asked, and the connection is reset in the middle of its answer. */
  ResetAnswer: {}
  /** The upstream does what was asked, and the connection is reset before a byte of the answer. */
  ApplyThenReset: {}
  /** Answers with this status and body; the upstream hears nothing. */
  Status: { readonly status: number; readonly body: string; readonly headers: Readonly<Record<string, string>> }
  /** 429 or 503, with seconds to wait, a date by this server's own clock, or whatever text. That clock is ahead by `skewMs`. */
  Throttle: {
    readonly status: 429 | 503
    readonly retryAfter:
      | { readonly seconds: number }
      | { readonly dateInMs: number }
      | { readonly text: string }
      | undefined
    readonly skewMs: number
  }
  /** The upstream does what was asked, and its answer comes cut in half, as a whole answer. */
  TruncatedAnswer: {}
  /** 200 with this many bytes of blanks, as fast as they are taken. */
  HugeAnswer: { readonly bytes: number; readonly isChunked: boolean }
  /** Sent on to another place, relative or not. */
  Redirect: { readonly status: 301 | 302 | 303 | 307 | 308; readonly location: string }
  /** The upstream does what was asked; its answer comes one byte at a time. */
  Trickle: { readonly everyMs: number }
  /** As the upstream answers, at another time. */
  SkewedDate: { readonly skewMs: number }
}>

export const Fault = Data.taggedEnum<Fault>()

export const pass = Fault.Pass()
export const blackHole = Fault.BlackHole()
export const resetRequest = Fault.ResetRequest()
export const resetAnswer = Fault.ResetAnswer()
export const applyThenReset = Fault.ApplyThenReset()
export const truncatedAnswer = Fault.TruncatedAnswer()

export const status = (code: number, body = "", headers: Readonly<Record<string, string>> = {}): Fault =>
  Fault.Status({ status: code, body, headers })

/** The page of a proxy whose upstream is away. */
export const badGateway = status(
  500,
  "<html><head><title>500 Internal Server Error</title></head><body><center><h1>500 Internal Server Error</h1></center></body></html>",
  { "content-type": "text/html" }
)

export const unauthorised = status(401, "You are not authenticated.", {
  "content-type": "text/plain",
  "www-authenticate": `Basic realm="service"`
})

export const forbidden = status(403, "Permission denied", { "content-type": "text/plain" })

/** JSON, and not what anybody asked for. */
export const wrongSchema = status(200, `{"unexpected":[true]}`, { "content-type": "application/json" })

/** A page of a service, or of a hotel's network, where JSON was expected. */
export const page = status(200, "<!doctype html><title>Please log in</title><p>Welcome to the guest network", {
  "content-type": "text/html"
})

export const throttle = (
  retryAfter: Extract<Fault, { readonly _tag: "Throttle" }>["retryAfter"],
  options: { readonly status?: 429 | 503; readonly skewMs?: number } = {}
): Fault => Fault.Throttle({ retryAfter, status: options.status ?? 429, skewMs: options.skewMs ?? 0 })

export const hugeAnswer = (options: { readonly bytes?: number; readonly isChunked: boolean }): Fault =>
  Fault.HugeAnswer({ bytes: options.bytes ?? 1024 ** 3, isChunked: options.isChunked })

export const redirect = (
  location: string,
  code: Extract<Fault, { readonly _tag: "Redirect" }>["status"] = 307
): Fault => Fault.Redirect({ location, status: code })

export const trickle = (everyMs = 1000): Fault => Fault.Trickle({ everyMs })

export const skewedDate = (skewMs: number): Fault => Fault.SkewedDate({ skewMs })
