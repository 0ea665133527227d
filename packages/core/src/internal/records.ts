/**
 * Kinds and payloads of records (journal.md §5): numbers of the kinds, and JSON payloads to and from events by their Schemas.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Name } from "../Name.ts"
import { Payload } from "../RunEvent.ts"
import { SeriesContext } from "../SeriesContext.ts"
import { isJsonObject, type JsonObject } from "../JsonObject.ts"
import type { Blob } from "./blobs.ts"

/** Length and checksum in front of kind and payload. */
export const prefixLength = 8

/** Longest kind and payload together (J3.1). */
export const recordLengthMax = 65_536

/** Longest JSON payload, in a blob (J6.1). */
export const payloadLengthMax = 64 * 1024 * 1024

export const kind = {
  point: 1,
  points: 2,
  series: 3,
  continued: 4,
  derived: 32
} as const

export const pointLength = 32

/** L of a record of `count` points (J5.2). */
export const pointsLength = (count: number): number => 8 + 28 * count

const jsonKinds: ReadonlyArray<readonly [tag: Payload["_tag"], kind: number]> = [
  ["RunStarted", 16],
  ["RunFinished", 17],
  ["Heartbeat", 18],
  ["Params", 19],
  ["Tags", 20],
  ["Text", 21],
  ["Media", 22],
  ["Artifact", 23],
  ["Console", 24],
  ["Renamed", 25],
  ["Derived", 32]
]

const kindByTag = new Map(jsonKinds)
const tagByKind = new Map(jsonKinds.map(([tag, number]) => [number, tag]))

export const kindOfTag = (tag: Payload["_tag"]): number => kindByTag.get(tag) ?? 0

/** Whether a record of this kind is an event that J7.8 counts; those of points count each of theirs. */
export const isCounted = (number: number): boolean => number >= kindOfTag("Params") && number <= kindOfTag("Renamed")

export const isJsonKind = (number: number): boolean => tagByKind.has(number)

const decodePayload = Schema.decodeUnknownResult(Payload)

/** The event in a JSON payload, or `undefined` when it does not pass its Schema (J4.5). */
export const payloadToEvent = (number: number, json: unknown): Payload | undefined => {
  const tag = tagByKind.get(number)
  if (tag === undefined || !isJsonObject(json)) return undefined
  return Result.getOrUndefined(decodePayload({ ...json, _tag: tag }))
}

const SeriesRecord = Schema.Struct({ series: Schema.Int, name: Name, context: SeriesContext })
export interface SeriesRecord extends Schema.Schema.Type<typeof SeriesRecord> {}

const decodeSeries = Schema.decodeUnknownResult(SeriesRecord)

export const seriesFromJson = (json: unknown): SeriesRecord | undefined => Result.getOrUndefined(decodeSeries(json))

const digestPattern = /^sha256:([0-9a-f]{64})$/

/** The SHA-256 in hex of the blob that holds the payload, when it was spilled (J6.1). */
export const spilledTo = (json: unknown): string | undefined => {
  if (!isJsonObject(json)) return undefined
  const blob = json["$blob"]
  return typeof blob === "string" ? digestPattern.exec(blob)?.[1] : undefined
}

export const spill = ({ bytes, digest }: Blob): JsonObject => ({ $blob: digest, bytes })
