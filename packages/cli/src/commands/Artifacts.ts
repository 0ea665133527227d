/**
 * `tracelet artifacts RUN [NAME]`: what a run kept beside its points, and with `--to` a copy of its files, each compared with its digest.
 */
import { createHash, randomBytes } from "node:crypto"
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FilePath from "@tracelet/core/FilePath"
import type { RunJournal } from "@tracelet/core/RunJournal"
import { placeOf, type Media } from "@tracelet/core/RunEvent"
import { CommandError } from "../Failure.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as RunFiles from "../RunFiles.ts"
import { Session } from "../Session.ts"
import * as Table from "../Table.ts"
import * as Text from "../Text.ts"
import { RunArgument } from "./Show.ts"

const flags = {
  run: RunArgument,
  name: Argument.String("NAME").pipe(
    Argument.withDescription("Only the artifact, or the media, of this name"),
    Argument.optional
  ),
  to: Flag.String("to").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("Copy the files into this folder; nothing that is there is overwritten"),
    Flag.optional
  )
}

export const command = Command.make("artifacts", flags, ({ run: query, name, to }) =>
  Frame.inWorkspace(
    Frame.readingJournals(
      Effect.gen(function* () {
        const { report, journal } = yield* Frame.whole(query)
        const found = yield* RunFiles.of(report.id)
        const isMeant = (each: { readonly name: string }) => Option.isNone(name) || each.name === name.value
        const files = { artifacts: found.artifacts.filter(isMeant), media: found.media.filter(isMeant) }
        if (Option.isSome(name) && files.artifacts.length + files.media.length === 0) {
          return yield* new CommandError({
            tag: "ArtifactNotFound",
            message: `Run ${Text.printable(report.name)} has no artifact and no media called ${JSON.stringify(name.value)}.`,
            hint: `\`tracelet artifacts ${report.id.slice(0, 8)}\` lists what there is.`
          })
        }
        const answer: Output.Artifacts = {
          artifacts: files.artifacts.map(RunFiles.toArtifact),
          media: RunFiles.toMedia(files.media)
        }
        if (Option.isSome(to)) {
          const { cwd } = yield* Session
          const folder = resolve(cwd, to.value)
          const copied = journal === undefined ? [] : yield* copies(journal, folder, files)
          if (yield* Frame.AsJson) return yield* Frame.printJson({ ...answer, copied })
          return yield* Frame.printLines([
            `Copied ${Format.plural(copied.length, "file")} to ${Text.printable(folder)}.`
          ])
        }
        if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
        return yield* Frame.printLines(yield* page(answer))
      })
    )
  )
).pipe(
  Command.withDescription(
    "List what a run kept beside its points: artifacts, the datasets it used, images and other media. With --to, copy the files."
  ),
  Command.withShortDescription("List or copy the files and media of a run"),
  Command.withExamples([
    { command: "tracelet artifacts baseline" },
    { command: "tracelet artifacts baseline best --to out", description: "The files of the artifact `best`" }
  ])
)

const page = ({ artifacts, media }: Output.Artifacts): Effect.Effect<ReadonlyArray<string>, never, Session> =>
  Effect.map(Session, (session) => {
    if (artifacts.length + media.length === 0) return ["The run has logged no artifacts and no media."]
    const tables = [
      artifacts.length === 0 ? undefined : RunFiles.artifactRows(artifacts),
      media.length === 0 ? undefined : RunFiles.mediaRows(media)
    ]
    return tables.flatMap((table, i) =>
      table === undefined
        ? []
        : [...(i === 1 && tables[0] !== undefined ? [""] : []), ...Table.render(table[0], table[1], Table.on(session))]
    )
  })

/** Where a file goes below the folder, and what is in it. */
interface Copy {
  readonly path: string
  readonly digest: string
}

const copies = (journal: RunJournal, folder: string, { artifacts, media }: RunFiles.RunFiles) =>
  Effect.gen(function* () {
    const wanted: ReadonlyArray<Copy> = [
      ...artifacts.flatMap((artifact) =>
        artifact.files.map(({ path, digest }) => ({ path: placeOf(artifact, path), digest }))
      ),
      ...media.map((medium, i) => ({ path: mediaPath(medium, i), digest: medium.digest }))
    ]
    const copied: Array<string> = []
    for (const { path, digest } of wanted) {
      // A name is a user's, and may be no path, or one that leads out of the folder.
      const place = FilePath.problem(path) === undefined ? path : `${digest.slice(7, 23)}.bin`
      yield* copy(journal, join(folder, place), digest)
      copied.push(place)
    }
    return copied
  })

const suffixes: ReadonlyMap<string, string> = new Map([
  ["image/png", "png"],
  ["image/apng", "png"],
  ["image/jpeg", "jpg"],
  ["image/gif", "gif"],
  ["image/webp", "webp"],
  ["image/svg+xml", "svg"],
  ["text/html", "html"],
  ["audio/wav", "wav"],
  ["application/json", "json"],
  ["application/vnd.plotly.v1+json", "json"]
])

/** `image/sample-12-0.png`: the step, and the place in the order logged, which tells those of one step apart. */
const mediaPath = ({ kind, mediaType, name, step }: Media, i: number): string =>
  `${kind}/${name}-${step}-${i}.${suffixes.get(mediaType) ?? "bin"}`

const copy = (journal: RunJournal, path: string, digest: string): Effect.Effect<void, CommandError> => {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`
  const refuse = (reason: string, hint: string) =>
    new CommandError({ tag: "OutputError", message: `could not write ${path}: ${reason}`, hint })
  const attempt = <A>(evaluate: () => A) =>
    Effect.try({
      try: evaluate,
      catch: (cause) => refuse(cause instanceof Error ? cause.message : String(cause), "Choose another --to.")
    })
  return Effect.gen(function* () {
    if (existsSync(path)) return yield* refuse("it is there already", "Choose another --to, or remove it first.")
    const descriptor = yield* attempt(() => {
      mkdirSync(dirname(path), { recursive: true })
      return openSync(temporary, "wx")
    })
    const hash = createHash("sha256")
    yield* journal.blob(digest).pipe(
      Stream.mapError(({ message }) => refuse(message, "`tracelet doctor` looks at the folder.")),
      Stream.runForEach((piece) =>
        attempt(() => {
          hash.update(piece)
          for (let at = 0; at < piece.length;) at += writeSync(descriptor, piece, at)
        })
      ),
      Effect.ensuring(Effect.sync(() => closeSync(descriptor)))
    )
    if (`sha256:${hash.digest("hex")}` !== digest) {
      return yield* refuse(
        "its bytes in the journal are damaged",
        "Another copy of it may be in a service it was sent to."
      )
    }
    return yield* attempt(() => renameSync(temporary, path))
  }).pipe(Effect.ensuring(Effect.sync(() => rmSync(temporary, { force: true }))))
}
