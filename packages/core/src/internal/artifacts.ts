/**
 * Artifacts into the journal: what a plan names is found and copied, and then the record that lists it is written. What cannot be kept is left out,
 * counted and warned of at the end of the run; the rest is kept.
 */
import * as Effect from "effect/Effect"
import * as Artifact from "../Artifact.ts"
import type { CurrentRun } from "../CurrentRun.ts"
import * as FilePath from "../FilePath.ts"
import { isJsonObject, type Json } from "../JsonObject.ts"
import type { StorageError, UserFiles } from "../JournalStorage.ts"
import * as Name from "../Name.ts"
import {
  artifactFilesMax,
  artifactTypes,
  type Artifact as ArtifactRecord,
  type ArtifactFile,
  type ArtifactType,
  type Input
} from "../RunEvent.ts"
import type { Blobs } from "./blobs.ts"
import { encodeText } from "./bytes.ts"
import { describeValue } from "./describeValue.ts"
import { currentRun, event, raised, whenEnded } from "./intoRun.ts"
import * as JsonText from "./json.ts"
import { notKept } from "./media.ts"

/** Longest file of an artifact, in bytes, unless a call says otherwise. */
const fileBytesMax = 64 * 1024 ** 3

/** Longest text of a reference, a description, or of what an input says of itself. */
const textMax = 65_536

/** Files that are copied at a time: what takes time is the disk. */
const copiesAtOnce = 4

export interface ArtifactOptions extends Artifact.Details {
  /** Default: the file's or folder's own name. */
  readonly name?: string
  /** Default `custom`. */
  readonly type?: ArtifactType
  /** Longest file that is kept, in bytes; longer ones are left out. Default 64 GiB: it costs as much disk again, where the file system cannot copy by reference. */
  readonly fileBytesMax?: number
}

/**
 * Keeps a file, a folder with all below it, or what an `Artifact` names, as it is at this call. Returns when it is on the disk, so that the source may
 * go.
 *
 * *Details*: links in a folder are followed to files of that folder alone. A file that is written while it is copied is kept as the copy has it, with a
 * warning. What cannot be kept is counted, and warned of once at the end of the run.
 */
export const logArtifact = (
  what: string | Artifact.Artifact,
  options: ArtifactOptions = {}
): Effect.Effect<void, never, CurrentRun> =>
  log(what, (blobs) =>
    Effect.map(typeof what === "string" ? planOf(what, options, blobs) : Effect.succeed(what), (artifact) => ({
      artifact,
      bytesMax: options.fileBytesMax ?? fileBytesMax
    }))
  )

export interface InputOptions extends Omit<Input, "schema" | "profile">, Artifact.Details {
  /** Where it came from: a URI, or a path as the program used it. Nothing of it is read. */
  readonly source?: string
  /** Default `dataset`. */
  readonly type?: ArtifactType
  /** Any JSON: columns and their types. */
  readonly schema?: unknown
  /** Any JSON: counts, statistics. */
  readonly profile?: unknown
}

/**
 * Logs what the run used: a dataset, by its name and where it came from, or an `Artifact` whose files are kept.
 *
 * @example
 * ```ts
 * yield* Tracker.logInput("wine", { source: "https://example.org/wine.csv", digest: "v3", context: "training" })
 * ```
 */
export const logInput = (
  what: string | Artifact.Artifact,
  options: InputOptions = {}
): Effect.Effect<void, never, CurrentRun> =>
  log(what, () => {
    const { context, digest, profile, schema, source, sourceType, type = "dataset", ...details } = options
    const given: Array<readonly [string, Json | undefined]> = [
      ["context", shortText(context)],
      ["digest", shortText(digest)],
      ["sourceType", shortText(sourceType)],
      ["schema", JsonText.normalise(schema)],
      ["profile", JsonText.normalise(profile)]
    ]
    const input: Input = Object.fromEntries(given.filter(([, value]) => value !== undefined))
    const artifact = typeof what === "string" ? Artifact.make(what, type, details) : what
    // The first of the references, whatever the artifact brings along.
    const first: ReadonlyArray<Artifact.Entry> = source === undefined ? [] : [{ _tag: "Reference", uri: source }]
    return Effect.succeed({
      artifact: { ...artifact, entries: [...first, ...artifact.entries] },
      bytesMax: fileBytesMax,
      input
    })
  })

const shortText = (value: unknown): string | undefined =>
  typeof value === "string" ? value.slice(0, textMax).toWellFormed() : undefined

/** What to write, with what has been found of it so far. */
interface Found {
  readonly files: Map<string, ArtifactFile>
  readonly references: Array<string>
}

interface Plan {
  readonly artifact: Artifact.Artifact
  readonly bytesMax: number
  readonly input?: Input
}

const log = (
  what: unknown,
  plan: (blobs: Blobs) => Effect.Effect<Plan, StorageError>
): Effect.Effect<void, never, CurrentRun> =>
  Effect.withFiber<void, never, CurrentRun>((fiber) => {
    const current = currentRun(fiber)
    const { clock, writer } = current
    if (writer.isClosed) return Effect.orDie(whenEnded(current, labelOf(what)))
    const time = clock.currentTimeMillisUnsafe() / 1000
    const refuse = (reason: string, which = labelOf(what)) => writer.refuse(`artifact: ${reason}`, which)
    return Effect.gen(function* () {
      const { artifact, bytesMax, input } = yield* plan(writer.blobs)
      const { description, entries, metadata, name, type } = artifact
      const problem = Name.problem(name) ?? typeProblem(type)
      if (problem !== undefined) return refuse(problem)
      const keeping = new Keeping(writer.blobs, bytesMax, refuse)
      const { files, references } = yield* keeping.all(entries)
      const text = shortText(description)
      const json = JsonText.normalise(metadata)
      if (metadata !== undefined && !isJsonObject(json)) refuse("its metadata is no JSON object")
      // Of one that was to have something and has nothing, there is nothing to tell.
      if (files.size + references.length === 0 && keeping.hasRefused) return
      const record: ArtifactRecord = {
        _tag: "Artifact",
        time,
        name,
        type,
        files: [...files.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
        references,
        ...(text === undefined ? {} : { description: text }),
        ...(isJsonObject(json) ? { metadata: json } : {}),
        ...(input === undefined ? {} : { input })
      }
      yield* event(name, () => writer.event(record))
    }).pipe(
      Effect.catch((error) => Effect.sync(() => refuse(notKept(error)))),
      Effect.catchDefect((defect) => Effect.sync(() => refuse(`${raised}: ${describeValue(defect).slice(0, 200)}`)))
    )
  })

/** Its name or path, of whatever was handed over. */
const labelOf = (what: unknown): string => {
  try {
    return isJsonObject(what) ? describeValue(what["name"]) : describeValue(what)
  } catch {
    return "?"
  }
}

const typeProblem = (type: unknown): string | undefined =>
  artifactTypes.some((known) => known === type) ? undefined : `the type is none of ${artifactTypes.join(", ")}`

/** The plan for a path: a single file is named after the artifact, so that it lies in its place (`placeOf`). */
const planOf = (
  path: string,
  { name, type, ...details }: ArtifactOptions,
  { storage }: Blobs
): Effect.Effect<Artifact.Artifact, StorageError> =>
  Effect.map(storage.userFiles(path, 1), (found) => {
    const plan = Artifact.make(name ?? found.name, type, details)
    return plan.pipe(Artifact.file(path, found.isFolder ? undefined : plan.name.slice(plan.name.lastIndexOf("/") + 1)))
  })

class Keeping {
  hasRefused = false
  private readonly found: Found = { files: new Map(), references: [] }
  private readonly blobs: Blobs
  private readonly bytesMax: number
  private readonly tell: (reason: string, which: string) => void

  constructor(blobs: Blobs, bytesMax: number, tell: (reason: string, which: string) => void) {
    this.blobs = blobs
    this.bytesMax = bytesMax
    this.tell = tell
  }

  all(entries: ReadonlyArray<Artifact.Entry>): Effect.Effect<Found, StorageError> {
    return Effect.gen({ self: this }, function* () {
      for (const entry of entries) {
        const failed = yield* Effect.match(this.one(entry), { onSuccess: () => undefined, onFailure: notKept })
        if (failed !== undefined) this.refuse(failed, entry._tag === "File" ? entry.source : nameOf(entry))
      }
      if (this.found.files.size > 0) yield* this.blobs.sync
      return this.found
    })
  }

  private refuse(reason: string, which: string): void {
    this.hasRefused = true
    this.tell(reason, which)
  }

  private one(entry: Artifact.Entry): Effect.Effect<void, StorageError> {
    switch (entry._tag) {
      case "Reference":
        return Effect.sync(() => {
          const uri = shortText(entry.uri)
          if (uri === undefined || uri !== entry.uri)
            this.refuse(`a reference is a text of at most ${textMax} characters`, nameOf(entry))
          else if (this.found.references.length === artifactFilesMax)
            this.refuse(`an artifact has at most ${artifactFilesMax} references`, uri)
          else this.found.references.push(uri)
        })
      case "File":
        return Effect.flatMap(this.blobs.storage.userFiles(entry.source, artifactFilesMax), (files) =>
          this.copies(files, entry.as)
        )
      case "Bytes":
        return this.content(entry.as, entry.bytes)
      case "Json": {
        const text = JsonText.stringify(entry.value)
        return text === undefined
          ? Effect.sync(() => this.refuse("a value has no JSON form", entry.as))
          : this.content(entry.as, encodeText(text))
      }
    }
  }

  private copies({ files, isFolder, left }: UserFiles, as: string | undefined): Effect.Effect<void> {
    for (const { path, reason } of left) this.refuse(reason, path)
    return Effect.forEach(
      files,
      ({ path, source }) => {
        const place = as === undefined ? path : isFolder ? `${as}/${path}` : as
        if (!this.isFree(place)) return Effect.void
        return Effect.matchEffect(this.blobs.copy(source, this.bytesMax), {
          onFailure: (error) => Effect.sync(() => this.refuse(notKept(error), source)),
          onSuccess: ({ isChanged, ...blob }) => {
            this.found.files.set(place, { path: place, ...blob })
            return isChanged
              ? Effect.logWarning(`tracelet: ${source} was written while it was copied; the copy is kept as it is`)
              : Effect.void
          }
        })
      },
      { concurrency: copiesAtOnce, discard: true }
    )
  }

  private content(path: string, bytes: Uint8Array): Effect.Effect<void, StorageError> {
    return Effect.suspend(() => {
      if (!this.isFree(path)) return Effect.void
      if (bytes.length > this.bytesMax)
        return Effect.sync(() => this.refuse(`it has more than ${this.bytesMax} bytes`, path))
      return Effect.map(this.blobs.keep(bytes), (blob) => void this.found.files.set(path, { path, ...blob }))
    })
  }

  private isFree(path: string): boolean {
    const { files } = this.found
    const problem =
      FilePath.problem(path) ??
      (files.has(path) ? "two files have one path" : undefined) ??
      (files.size >= artifactFilesMax ? `an artifact has at most ${artifactFilesMax} files` : undefined)
    if (problem !== undefined) this.refuse(problem, describeValue(path))
    return problem === undefined
  }
}

const nameOf = (entry: Artifact.Entry): string => describeValue("as" in entry ? entry.as : entry.uri)
