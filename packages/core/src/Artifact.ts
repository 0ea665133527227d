/**
 * What a run made and is to be kept beside its points: files, bytes, JSON and references to what lies elsewhere, under one name. An `Artifact` is a
 * plan; `Tracker.logArtifact` keeps what it names at the time of that call.
 *
 * @example
 * ```ts
 * const best = Artifact.make("best", "model").pipe(
 *   Artifact.file("out/model.safetensors"),
 *   Artifact.json("config.json", { layers: 12 }),
 *   Artifact.reference("s3://weights/base")
 * )
 * ```
 */
import * as Pipeable from "effect/Pipeable"
import type { ArtifactType } from "./RunEvent.ts"

/** `as`: where it lies in the artifact, with forward slashes; see `FilePath`. */
export type Entry =
  | { readonly _tag: "File"; readonly source: string; readonly as: string | undefined }
  | { readonly _tag: "Bytes"; readonly as: string; readonly bytes: Uint8Array }
  | { readonly _tag: "Json"; readonly as: string; readonly value: unknown }
  | { readonly _tag: "Reference"; readonly uri: string }

export interface Details {
  readonly description?: string
  /** Any JSON. */
  readonly metadata?: { readonly [key: string]: unknown }
}

export interface Artifact extends Pipeable.Pipeable, Details {
  /** Where it lies among the run's artifacts: files of it are at `name/path`. */
  readonly name: string
  readonly type: ArtifactType
  readonly entries: ReadonlyArray<Entry>
}

/** An artifact without content. */
export const make = (name: string, type: ArtifactType = "custom", details: Details = {}): Artifact =>
  withEntries(name, type, details, [])

const withEntries = (
  name: string,
  type: ArtifactType,
  { description, metadata }: Details,
  entries: ReadonlyArray<Entry>
): Artifact => ({
  name,
  type,
  ...(description === undefined ? {} : { description }),
  ...(metadata === undefined ? {} : { metadata }),
  entries,
  pipe() {
    return Pipeable.pipeArguments(this, arguments)
  }
})

const add =
  (entry: Entry) =>
  (self: Artifact): Artifact =>
    withEntries(self.name, self.type, self, [...self.entries, entry])

/** Adds a file, or all files of a folder and below. Default for `as`: a file's own name, and for a folder the artifact's top. */
export const file = (source: string, as?: string): ((self: Artifact) => Artifact) => add({ _tag: "File", source, as })

/** Adds a file of these bytes. */
export const bytes = (as: string, content: Uint8Array): ((self: Artifact) => Artifact) =>
  add({ _tag: "Bytes", as, bytes: content })

/** Adds a file of JSON. */
export const json = (as: string, value: unknown): ((self: Artifact) => Artifact) => add({ _tag: "Json", as, value })

/** Adds what lies elsewhere by its URI; nothing of it is read. */
export const reference = (uri: string): ((self: Artifact) => Artifact) => add({ _tag: "Reference", uri })
