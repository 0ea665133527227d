/**
 * Where each signal goes, from what an app gives and, for what it leaves out, from OpenTelemetry's own variables (OTLP exporter
 * specification 1.50). What an operator wrote wrongly is warned of and switches its signal off: telemetry stops nobody's work.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Headers from "./headers.ts"

export type Signal = "traces" | "metrics" | "logs"

const protocols = ["http/protobuf", "http/json"] as const
type Protocol = (typeof protocols)[number]

export interface Given {
  readonly endpoint?: string | undefined
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  readonly protocol?: Protocol | undefined
}

/** How one signal is exported. */
export interface Settings {
  readonly url: string
  /** With what authorises: for the request alone. */
  readonly headers: Readonly<Record<string, string>>
  readonly protocol: Protocol
  readonly compression: "gzip" | "none"
  /** Longest wait for one answer, in milliseconds. */
  readonly timeoutMs: number
}

/** An empty variable counts as none (OpenTelemetry specification 1.50, environment variables). */
const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.map(Effect.option(Config.String(name)), (value) => {
    const text = Option.getOrUndefined(value)?.trim()
    return text === "" ? undefined : text
  })

const firstOf = Effect.fnUntraced(function* (signal: Signal, name: string) {
  const own = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`
  const general = `OTEL_EXPORTER_OTLP_${name}`
  const value = yield* variable(own)
  return value === undefined ? { name: general, value: yield* variable(general) } : { name: own, value }
})

/** Why a signal is not exported, for who wonders; never the value of a header. */
class Wrong {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** `undefined` when the signal goes nowhere. */
export const settingsOf = (signal: Signal, given: Given): Effect.Effect<Settings | undefined> =>
  read(signal, given).pipe(
    Effect.catch(({ message }) =>
      Effect.as(Effect.logWarning(`tracelet: OpenTelemetry's ${signal} are not exported: ${message}`), undefined)
    )
  )

const read = Effect.fnUntraced(function* (signal: Signal, given: Given): Effect.fn.Return<Settings | undefined, Wrong> {
  if ((yield* variable("OTEL_SDK_DISABLED"))?.toLowerCase() === "true") return undefined
  const exporters = (yield* variable(`OTEL_${signal.toUpperCase()}_EXPORTER`)) ?? "otlp"
  if (!exporters.split(",").some((one) => one.trim() === "otlp")) return undefined
  const url = yield* urlOf(signal, given)
  if (url === undefined) return undefined
  const compression = yield* firstOf(signal, "COMPRESSION")
  const timeout = yield* firstOf(signal, "TIMEOUT")
  const timeoutMs = Number(timeout.value ?? 10_000)
  if (!(timeoutMs > 0)) return yield* Effect.fail(new Wrong(`${timeout.name} must be a number of milliseconds.`))
  const headers = { ...loginOf(url), ...(yield* headersOf(signal, given)) }
  url.username = url.password = ""
  return {
    url: url.href,
    headers,
    protocol: yield* protocolOf(signal, given),
    compression: compression.value === "gzip" ? "gzip" : "none",
    timeoutMs
  }
})

const urlOf = Effect.fnUntraced(function* (signal: Signal, { endpoint }: Given) {
  const own = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`
  const whole = endpoint === undefined ? yield* variable(own) : undefined
  const base = whole ?? endpoint ?? (yield* variable("OTEL_EXPORTER_OTLP_ENDPOINT"))
  if (base === undefined) return undefined
  const url = URL.canParse(base) ? new URL(base) : undefined
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    return yield* Effect.fail(
      new Wrong("the endpoint must begin with http:// or https://, as in http://127.0.0.1:4318.")
    )
  }
  if (whole === undefined) url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/${signal}`
  return url
})

/** User and password of an address as a header: clients send them in no other way. */
const loginOf = ({ password, username }: URL): Readonly<Record<string, string>> => {
  if (username === "" && password === "") return {}
  const login = `${Headers.decoded(username) ?? username}:${Headers.decoded(password) ?? password}`
  return { authorization: `Basic ${Buffer.from(login).toString("base64")}` }
}

const protocolOf = Effect.fnUntraced(function* (signal: Signal, { protocol }: Given) {
  const { name, value } = yield* firstOf(signal, "PROTOCOL")
  const known = protocol ?? protocols.find((one) => one === (value ?? "http/protobuf"))
  if (known === undefined) {
    return yield* Effect.fail(
      new Wrong(
        `${name}=${value} is not supported: use ${protocols.join(" or ")}, to which collectors listen on port 4318.`
      )
    )
  }
  return known
})

const headersOf = Effect.fnUntraced(function* (signal: Signal, { headers }: Given) {
  if (headers !== undefined) {
    return Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, Redacted.isRedacted(value) ? Redacted.value(value) : value])
    )
  }
  const { name, value = "" } = yield* firstOf(signal, "HEADERS")
  const entries = Headers.parse(value)
  if (entries === undefined) {
    return yield* Effect.fail(new Wrong(`${name} must read name=value,name=value, with values percent-encoded.`))
  }
  return entries
})

/** What the service is called where the app does not say it. */
export const serviceName = Effect.map(
  Effect.all([variable("OTEL_SERVICE_NAME"), variable("OTEL_RESOURCE_ATTRIBUTES")]),
  ([name, attributes = ""]) =>
    name === undefined && !/(^|,)\s*service\.name\s*=/.test(attributes) ? fallback : undefined
)

/** What OpenTelemetry calls a service without a name (resource semantic conventions 1.43). */
const fallback = "unknown_service:node"

/** How many of all traces are kept, 0 to 1, where the app does not say it (`OTEL_TRACES_SAMPLER`; all are based on the parent here). */
export const sampledRatio = Effect.gen(function* () {
  const sampler = (yield* variable("OTEL_TRACES_SAMPLER"))?.replace(/^parentbased_/, "")
  if (sampler === "always_off") return 0
  if (sampler !== "traceidratio") return 1
  const ratio = Number((yield* variable("OTEL_TRACES_SAMPLER_ARG")) ?? 1)
  return ratio >= 0 && ratio <= 1 ? ratio : 1
})
