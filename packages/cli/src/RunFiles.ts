/**
 * What a run kept beside its points: its artifacts, and its media by name, from the store to rows and to JSON.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { LocalReader } from "@tracelet/backend-local/LocalReader"
import type { BackendError } from "@tracelet/core/BackendError"
import type { Artifact, Media } from "@tracelet/core/RunEvent"
import * as Series from "@tracelet/core/Series"
import * as Format from "./Format.ts"
import type * as Output from "./Output.ts"
import { contextText } from "./ContextText.ts"
import * as Table from "./Table.ts"
import * as Text from "./Text.ts"

export interface RunFiles {
  /** Of several of one name the last one, in the order of the first. */
  readonly artifacts: ReadonlyArray<Artifact>
  /** In the order logged. */
  readonly media: ReadonlyArray<Media>
}

export const of = (run: string): Effect.Effect<RunFiles, BackendError, LocalReader> =>
  Effect.gen(function* () {
    const reader = yield* LocalReader
    const artifacts = new Map((yield* Stream.runCollect(reader.artifacts(run))).map((each) => [each.name, each]))
    return { artifacts: [...artifacts.values()], media: yield* Stream.runCollect(reader.media(run)) }
  })

const total = (files: ReadonlyArray<{ readonly bytes: number }>): number =>
  files.reduce((sum, { bytes }) => sum + bytes, 0)

export const toArtifact = ({ name, type, files, references, input }: Artifact): Output.ArtifactSummary => ({
  name,
  type,
  files: files.length,
  bytes: total(files),
  references,
  ...(input === undefined ? {} : { input: input.context ?? "" })
})

/** One entry per (kind, name, context), in the order of their first. */
export const toMedia = (media: ReadonlyArray<Media>): ReadonlyArray<Output.MediaSummary> =>
  [...Map.groupBy(media, (medium) => `${medium.kind} ${Series.toKey(medium)}`).values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const { context, kind, name } = first
    const lastStep = group.reduce((greatest, { step }) => Math.max(greatest, step), first.step)
    return [{ kind, name, context, count: group.length, lastStep, bytes: total(group) }]
  })

/** For a table. */
export type Rows = readonly [ReadonlyArray<Table.Column>, ReadonlyArray<ReadonlyArray<string | Table.Cell>>]

export const artifactRows = (artifacts: ReadonlyArray<Output.ArtifactSummary>): Rows => [
  [
    { title: "name", align: "left", shrinkTo: 12, max: Table.nameColumnsMax },
    { title: "type", align: "left" },
    { title: "used for", align: "left", drop: 2 },
    { title: "files", align: "right" },
    { title: "size", align: "right" },
    { title: "references", align: "left", shrinkTo: 12, drop: 1 }
  ],
  artifacts.map(({ name, type, files, bytes, references, input }) => [
    Text.printable(name),
    Text.printable(type),
    input === undefined ? "" : input === "" ? "input" : Text.printable(input),
    Format.count(files),
    files === 0 ? "" : Format.bytes(bytes),
    references.map(Text.printable).join(" ")
  ])
]

export const mediaRows = (media: ReadonlyArray<Output.MediaSummary>): Rows => [
  [
    { title: "name", align: "left", shrinkTo: 12, max: Table.nameColumnsMax },
    { title: "kind", align: "left" },
    { title: "context", align: "left", shrinkTo: 12, max: Table.nameColumnsMax, drop: 1 },
    { title: "count", align: "right" },
    { title: "last step", align: "right", drop: 2 },
    { title: "size", align: "right" }
  ],
  media.map(({ name, kind, context, count, lastStep, bytes }) => [
    Text.printable(name),
    kind,
    contextText(context),
    Format.count(count),
    Format.count(lastStep),
    Format.bytes(bytes)
  ])
]
