/**
 * Why a service gave no answer, from the code that a runtime puts somewhere into its error: `fetch` of Node says "fetch failed", with the
 * reason as its cause, or as one of several where a name has several addresses.
 */

/** What came back, and what to do. */
export interface Failure {
  readonly came: string
  readonly advice: string
}

const unreachable = "Is the service running, and is its address right?"
const passing = "The service or something before it closed the connection: it may be restarting."
const name = "Check the name in the address, and the network of this machine."

// Codes: Node 24, https://nodejs.org/api/errors.html and `getaddrinfo(3)`; UND_ERR_* of undici 7, docs/api/Errors.md.
const known: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { came: "the connection was refused", advice: unreachable },
  EHOSTUNREACH: { came: "there is no way to the host", advice: unreachable },
  ENETUNREACH: { came: "the network cannot be reached", advice: "Is this machine online?" },
  ETIMEDOUT: { came: "no connection came about in time", advice: unreachable },
  UND_ERR_CONNECT_TIMEOUT: { came: "no connection came about in time", advice: unreachable },
  UND_ERR_HEADERS_TIMEOUT: { came: "no answer began in time", advice: unreachable },
  UND_ERR_BODY_TIMEOUT: { came: "the answer stood still", advice: passing },
  ECONNRESET: { came: "the connection was reset", advice: passing },
  EPIPE: { came: "the connection was closed while sending", advice: passing },
  UND_ERR_SOCKET: { came: "the connection was closed before the answer was complete", advice: passing },
  ENOTFOUND: { came: "the host's name is not known", advice: name },
  EAI_AGAIN: { came: "the host's name could not be looked up", advice: name }
}

const tls: Failure = {
  came: "no TLS connection came about",
  advice:
    "Is the certificate valid for this host, is its authority known here, and does the service speak TLS on this port?"
}
const isTls = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_|EPROTO/
const isNoHttp = /^HPE_|^HTTPParserError$/
const noHttp: Failure = { came: "what came back is no HTTP", advice: "Does another service listen on this port?" }

/** The codes in an error, and the names where there is none, the outermost first. */
const codesOf = (error: unknown, depth = 0): ReadonlyArray<string> => {
  if (depth > 5 || typeof error !== "object" || error === null) return []
  const inner = [
    "reason" in error ? error.reason : undefined,
    "cause" in error ? error.cause : undefined,
    ...("errors" in error && Array.isArray(error.errors) ? error.errors : [])
  ].flatMap((one) => codesOf(one, depth + 1))
  if ("code" in error && typeof error.code === "string") return [error.code, ...inner]
  return error instanceof Error ? [error.name, ...inner] : inner
}

export const failureOf = (error: unknown): Failure => {
  for (const code of codesOf(error)) {
    const found = known[code] ?? (isNoHttp.test(code) ? noHttp : isTls.test(code) ? tls : undefined)
    if (found !== undefined) return { ...found, came: `${found.came} (${code})` }
  }
  return { came: "the connection broke", advice: passing }
}
