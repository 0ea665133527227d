/** Which files of an MLflow run an event becomes. Pure: a path is the event's own, so that the same event again overwrites its files. */
import { createHash } from "node:crypto"
import { placeOf, type Artifact, type Media, type RunEvent, type Text } from "@tracelet/core/RunEvent"
import type { DatasetInput } from "../MlflowApi.ts"
import * as MlflowMapping from "../MlflowMapping.ts"
import * as MlflowName from "../MlflowName.ts"
import { datasetDigestLength, datasetNameLength, inputTagValueLength } from "./limits.ts"

/** A file to be: text that is here, or a blob. */
export interface File {
  readonly path: string
  readonly mediaType: string
  readonly content: { readonly text: string } | { readonly digest: string; readonly bytes: number }
}

export interface Files {
  readonly files: ReadonlyArray<File>
  /** The image grid of the run's page is there only for runs with the tag `mlflow.loggedImages`. */
  readonly hasImages: boolean
  /** Paths for the list in the tag `mlflow.loggedArtifacts`. */
  readonly tables: ReadonlyArray<string>
  readonly inputs: ReadonlyArray<DatasetInput>
}

const none: Files = { files: [], hasImages: false, tables: [], inputs: [] }

/** What tells one event of a run from all others. */
export interface Identity {
  readonly run: string
  readonly writer: string
  readonly position: number
}

const hash = (...parts: ReadonlyArray<string | number>) => createHash("sha256").update(parts.join("\n")).digest("hex")

const idOf = ({ position, run, writer }: Identity): string => hash(run, writer, position)

export const filesOf = (event: RunEvent, identity: Identity): Files => {
  if (event._tag === "Text") return ofText(event, idOf(identity))
  if (event._tag === "Media") return ofMedia(event, idOf(identity))
  return event._tag === "Artifact" ? ofArtifact(event) : none
}

const ofText = (event: Text, id: string): Files => ({
  ...none,
  files: [{ path: stepFile("texts", event, id, "txt"), mediaType: "text/plain", content: { text: event.text } }]
})

const stepFile = (root: string, event: Text | Media, id: string, extension: string): string =>
  `${root}/${MlflowName.folderOf(event)}/${event.step}-${id.slice(0, 8)}.${extension}`

const ofMedia = (event: Media, id: string): Files => {
  const content = { digest: event.digest, bytes: event.bytes }
  const { counts, edges, kind, mediaType } = event
  const extension = extensions[mediaType.split(";")[0]?.trim() ?? ""] ?? "bin"
  if (kind === "image") {
    const path = imagePath(event, id, mediaType === "image/webp" ? "webp" : "png")
    const files = [path, path.replace(/\.\w+$/, "+compressed.webp")].map((one) => ({ path: one, mediaType, content }))
    return { ...none, files, hasImages: true }
  }
  if (kind === "histogram" && edges !== undefined && counts !== undefined) {
    const text = JSON.stringify({ edges, counts })
    const path = stepFile("histograms", event, id, "json")
    return { ...none, files: [{ path, mediaType: "application/json", content: { text } }] }
  }
  const path = stepFile(roots[kind], event, id, extension)
  return { ...none, files: [{ path, mediaType, content }], tables: kind === "table" ? [path] : [] }
}

/**
 * As `log_image` of MLflow 3.18.0 names it, and as its page reads it: fields between `+`, slashes of the key as `~`, and beside it the thumbnail
 * `…+compressed.webp`. The page shows endings .png and .webp only; what is in the file, the browser finds out.
 */
const imagePath = (event: Media, id: string, extension: string): string => {
  const uuid = [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20, 32)].join("-")
  const key = MlflowName.pathPart(MlflowName.folderOf(event).replaceAll("/", "~"))
  return `images/${key}+step+${event.step}+timestamp+${MlflowMapping.milliseconds(event.time)}+${uuid}.${extension}`
}

const roots: { readonly [Kind in Media["kind"]]: string } = {
  image: "images",
  histogram: "histograms",
  figure: "figures",
  audio: "audio",
  video: "video",
  embedding: "embeddings",
  mesh: "meshes",
  pr_curve: "pr_curves",
  table: "tables"
}

const extensions: { readonly [mediaType: string]: string | undefined } = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/gif": "gif",
  "image/webp": "webp",
  "image/svg+xml": "svg",
  "text/html": "html",
  "text/plain": "txt",
  "text/csv": "csv",
  "application/json": "json",
  "application/vnd.plotly.v1+json": "json",
  "application/pdf": "pdf",
  "audio/wav": "wav",
  "audio/mpeg": "mp3",
  "audio/ogg": "ogg",
  "video/mp4": "mp4",
  "video/webm": "webm",
  "model/gltf-binary": "glb"
}

const ofArtifact = (event: Artifact): Files => {
  const { description, input, metadata, name, references, type } = event
  const files = event.files.map(({ bytes, digest, path }): File => ({
    path: MlflowName.path(placeOf(event, path)),
    mediaType: extensionType(path),
    content: { digest, bytes }
  }))
  const isDescribed = description !== undefined || metadata !== undefined || references.length > 0
  // What it is known by, where MLflow has no field for it.
  const card: File = {
    path: `metadata/${MlflowName.path(name)}.json`,
    mediaType: "application/json",
    content: { text: JSON.stringify({ type, description, metadata, references }, undefined, 2) }
  }
  return {
    ...none,
    files: isDescribed ? [...files, card] : files,
    inputs: input === undefined ? [] : [datasetOf(event, input)]
  }
}

const extensionType = (path: string): string =>
  Object.entries(extensions).find(([, extension]) => path.endsWith(`.${extension}`))?.[0] ?? "application/octet-stream"

const datasetOf = (event: Artifact, input: NonNullable<Artifact["input"]>): DatasetInput => {
  const { files, name, references } = event
  const whole = hash(...references, ...files.map(({ digest, path }) => `${path} ${digest}`))
  const digest = input.digest ?? whole.slice(0, 8)
  const text = (json: unknown): string => (typeof json === "string" ? json : JSON.stringify(json))
  return {
    tags:
      input.context === undefined
        ? []
        : [{ key: "mlflow.data.context", value: input.context.slice(0, inputTagValueLength) }],
    dataset: {
      name:
        name.length <= datasetNameLength ? name : `${name.slice(0, datasetNameLength - 17)}~${MlflowName.digest(name)}`,
      digest:
        digest.length <= datasetDigestLength && digest !== "" ? digest : hash(digest).slice(0, datasetDigestLength),
      source_type: input.sourceType ?? "local",
      source: JSON.stringify({ uri: references[0] ?? MlflowName.path(name) }),
      ...(input.schema === undefined ? {} : { schema: text(input.schema) }),
      ...(input.profile === undefined ? {} : { profile: text(input.profile) })
    }
  }
}
