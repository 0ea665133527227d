/**
 * A segment's header (journal.md §2), its bytes to and fro.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Id } from "../Name.ts"
import { crc32 } from "./crc32.ts"
import { align8, decodeJson, encodeText, getInt64, setInt64 } from "./bytes.ts"

const magic = Uint8Array.of(0x89, 0x54, 0x4c, 0x4a, 0x0d, 0x0a, 0x1a, 0x0a)
const version = 1
const fixedLength = 64

/** Longest header, in bytes: what a reader has to read to be sure of all of it. */
export const headerLengthMax = 4_096

/** No segment of an appending writer grows beyond this (J2.8). */
export const segmentLengthMax = 8 * 1024 * 1024

const roles = ["primary", "observer", "child", "derived"] as const
export type Role = (typeof roles)[number]

const Identity = Schema.Struct({
  run: Id,
  writer: Id,
  host: Schema.String,
  boot: Schema.String,
  pid: Schema.Int,
  of: Schema.optionalKey(Id),
  /** Of a primary writer that goes on with a run that had ended (J10.3). */
  resumes: Schema.optionalKey(Schema.Boolean)
})
export interface Identity extends Schema.Schema.Type<typeof Identity> {}

const decodeIdentity = Schema.decodeUnknownResult(Identity)

export interface Header {
  readonly role: Role
  /** Bytes before the first record. */
  readonly length: number
  readonly salt: number
  /** Position of the byte at file offset `length`. */
  readonly streamOffset: number
  /** Seconds since the Unix epoch. */
  readonly createdAt: number
  readonly number: number
  readonly identity: Identity
}

export const encodeHeader = (header: Omit<Header, "length">): Uint8Array<ArrayBuffer> => {
  const identity = encodeText(JSON.stringify(header.identity))
  const length = align8(fixedLength + identity.length)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  bytes.set(magic)
  view.setUint16(8, version, true)
  view.setUint16(10, roles.indexOf(header.role) + 1, true)
  view.setUint32(12, length, true)
  view.setUint32(16, header.salt, true)
  setInt64(view, 24, header.streamOffset)
  view.setFloat64(32, header.createdAt, true)
  setInt64(view, 40, header.number)
  view.setUint32(48, identity.length, true)
  bytes.set(identity, fixedLength)
  view.setUint32(20, headerChecksum(bytes, length), true)
  return bytes
}

/** The header at the start of `bytes`, or `undefined` when there is no good one (J2.1). */
export const decodeHeader = (bytes: Uint8Array): Header | undefined => {
  if (bytes.length < fixedLength || magic.some((byte, i) => bytes[i] !== byte)) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const role = roles[view.getUint16(10, true) - 1]
  const length = view.getUint32(12, true)
  if (view.getUint16(8, true) !== version || role === undefined) return undefined
  if (length % 8 !== 0 || length < fixedLength || length > headerLengthMax || length > bytes.length) return undefined
  if (headerChecksum(bytes, length) !== view.getUint32(20, true)) return undefined
  const identityLength = view.getUint32(48, true)
  if (fixedLength + identityLength > length) return undefined
  const identity = decodeIdentity(decodeJson(bytes.subarray(fixedLength, fixedLength + identityLength)))
  if (Result.isFailure(identity)) return undefined
  const streamOffset = getInt64(view, 24)
  if (!Number.isSafeInteger(streamOffset) || streamOffset < 0) return undefined
  return {
    role,
    length,
    salt: view.getUint32(16, true),
    streamOffset,
    createdAt: view.getFloat64(32, true),
    number: getInt64(view, 40),
    identity: identity.success
  }
}

const headerChecksum = (bytes: Uint8Array, length: number): number => crc32(bytes, 24, length, crc32(bytes, 0, 20, 0))

/** `<writerId>.<n>.tlj` */
export const fileName = (writer: string, number: number): string => `${writer}.${number}.tlj`

const filePattern = /^([A-Za-z0-9][A-Za-z0-9_-]{0,63})\.(0|[1-9][0-9]{0,8})\.tlj$/

/** Writer and number of a segment's file name, or `undefined` when it is something else (J1.2). */
export const parseFileName = (name: string): { readonly writer: string; readonly number: number } | undefined => {
  const match = filePattern.exec(name)
  return match?.[1] === undefined ? undefined : { writer: match[1], number: Number(match[2]) }
}
