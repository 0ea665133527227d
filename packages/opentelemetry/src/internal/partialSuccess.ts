/**
 * What a receiver says that it took in part (`ExportMetricsServiceResponse`, opentelemetry-proto 1.9): how many points it left out and why, not
 * which ones. It answers in the encoding of the request, which is protobuf here; some answer in JSON all the same.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export interface PartialSuccess {
  readonly rejected: number
  readonly message: string
}

const Json = Schema.fromJsonString(
  Schema.Struct({
    partialSuccess: Schema.optionalKey(
      Schema.Struct({
        rejectedDataPoints: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.String])),
        errorMessage: Schema.optionalKey(Schema.String)
      })
    )
  })
)
const decodeJson = Schema.decodeUnknownOption(Json)

const nothing: PartialSuccess = { rejected: 0, message: "" }

export const partialSuccessOf = (body: Uint8Array, contentType: string): PartialSuccess => {
  if (!contentType.includes("json")) return fromProtobuf(body)
  const answer = Option.getOrUndefined(decodeJson(new TextDecoder().decode(body)))?.partialSuccess
  const rejected = Number(answer?.rejectedDataPoints ?? 0)
  return { rejected: rejected > 0 ? rejected : 0, message: answer?.errorMessage ?? "" }
}

/** Field 1 of the answer holds the number in its field 1 and the text in its field 2. What is no such message says nothing. */
const fromProtobuf = (body: Uint8Array): PartialSuccess => {
  const inner = fieldsOf(body)?.get(1)
  if (!(inner instanceof Uint8Array)) return nothing
  const fields = fieldsOf(inner)
  const rejected = fields?.get(1)
  const message = fields?.get(2)
  return {
    rejected: typeof rejected === "number" ? rejected : 0,
    message: message instanceof Uint8Array ? new TextDecoder().decode(message) : ""
  }
}

/** Fields of a protobuf message by their number, varints and texts; `undefined` for what is none. */
const fieldsOf = (bytes: Uint8Array): ReadonlyMap<number, number | Uint8Array> | undefined => {
  const fields = new Map<number, number | Uint8Array>()
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70 && at < bytes.length; shift += 7) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    return NaN
  }
  while (at < bytes.length) {
    const tag = varint()
    const [field, type] = [Math.floor(tag / 8), tag % 8]
    if (type === 0) {
      fields.set(field, varint())
    } else if (type === 2) {
      const length = varint()
      if (!(at + length <= bytes.length)) return undefined
      fields.set(field, bytes.subarray(at, at + length))
      at += length
    } else if (type === 1 || type === 5) {
      at += type === 1 ? 8 : 4
    } else {
      return undefined
    }
  }
  return fields
}
