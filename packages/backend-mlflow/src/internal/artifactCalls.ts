/**
 * Bytes of a run's artifacts to where its server keeps them: through the server, in parts where it hands those on, to a folder that both
 * see, or to an address that the server signs. Tried on 3.18.0: the first; the others as its sources have them.
 */
import { mkdir, open, rename, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { transient, type BackendError } from "@tracelet/core/BackendError"
import type { StorageError } from "@tracelet/core/JournalStorage"
import type { Classify, ServiceCall } from "@tracelet/core/ServiceCall"
import { MultipartUpload, PresignedUpload, type ServerInfo } from "../MlflowApi.ts"
import { decoded } from "./decoded.ts"
import { acceptingFaults, classify, refusal, type Refusal } from "../MlflowError.ts"

interface Upload {
  /** Below the run's artifacts, made legal. */
  readonly path: string
  readonly bytes: number
  readonly mediaType: string
  readonly content: Stream.Stream<Uint8Array, StorageError>
}

interface Place {
  readonly run: string
  /** As the server says where the run's artifacts lie. */
  readonly artifactUri: string
}

export interface ArtifactCalls {
  /** The same again overwrites. Resolves with why there is no place for it. */
  readonly put: (place: Place, upload: Upload) => Effect.Effect<Refusal | undefined, BackendError>
}

interface Server extends ServiceCall {
  readonly base: string
  readonly info: Effect.Effect<ServerInfo, BackendError>
  /** With what says who asks. */
  readonly placed: (
    request: HttpClientRequest.HttpClientRequest
  ) => Effect.Effect<HttpClientRequest.HttpClientRequest, BackendError>
}

/** Up to this it is sent as one piece of memory. */
const wholeBytes = 2 ** 20
/** A part of an upload in parts; services want at least 5 MB, and take 10,000 of them. */
const partBytes = 16 * 2 ** 20
/** From this on in parts, as MLflow's own client does (MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE). */
const multipartFrom = 500 * 2 ** 20
/** Signed addresses want to know the length before, so all of it is in memory. */
const presignedBytesMax = 64 * 2 ** 20
/** A connection slower than this, in bytes a second, is given up on. */
const slowest = 50_000

const unavailable = (message: string): Refusal => ({ status: 0, code: "", message })

const acceptingPlaces: Classify = (answer) => {
  // 409: only signed addresses; 501: no parts; 503: `--no-serve-artifacts`.
  if (answer.status === 409 || answer.status === 501) return "accepted"
  if (answer.status === 503 && refusal(answer)?.message.includes("no-serve-artifacts") === true) return "accepted"
  return acceptingFaults(answer)
}

export const makeArtifactCalls = (server: Server): ArtifactCalls => ({
  put: (place, upload) =>
    Effect.gen(function* () {
      const uri = place.artifactUri
      if (uri.startsWith("mlflow-artifacts:")) {
        const { artifacts_presigned_only, multipart_uploads_enabled } = yield* server.info
        if (artifacts_presigned_only === true) return yield* presigned(server, place, upload)
        if (upload.bytes >= multipartFrom && multipart_uploads_enabled === true)
          return yield* multipart(server, uri, upload)
        const refused = yield* proxied(server, uri, upload)
        return refused?.status === 409 ? yield* presigned(server, place, upload) : refused
      }
      const folder = folderOf(uri)
      return folder === undefined ? yield* presigned(server, place, upload) : yield* copied(folder, upload)
    })
})

const encoded = (path: string): string => path.split("/").map(encodeURIComponent).join("/")

const patience = (bytes: number) => {
  const wait = Duration.seconds(120 + bytes / slowest)
  return { firstByteWithin: wait, answerWithin: wait }
}

/** Where the server takes a file: its own address, or that of the server the URI names. */
const endpoint = (base: string, uri: string, kind: string, path: string): string => {
  const [, host, root = ""] = /^mlflow-artifacts:(?:\/\/([^/]*))?(\/.*)?$/.exec(uri) ?? []
  const server = host === undefined || host === "" ? base : `${new URL(base).protocol}//${host}`
  return `${server}/api/2.0/mlflow-artifacts/${kind}${encoded(`${root.replace(/\/+$/, "")}/${path}`)}`
}

const gathered = ({ content }: Upload, path: string): Effect.Effect<Uint8Array, BackendError> =>
  Stream.runCollect(content).pipe(
    Effect.map((parts) => Buffer.concat(parts)),
    Effect.mapError((error) => transient("mlflow", `Cannot read ${path}: ${error.message}`, error))
  )

const withBody = (request: HttpClientRequest.HttpClientRequest, upload: Upload) =>
  upload.bytes <= wholeBytes
    ? Effect.map(gathered(upload, upload.path), (bytes) =>
        HttpClientRequest.bodyUint8Array(request, bytes, upload.mediaType)
      )
    : Effect.succeed(HttpClientRequest.bodyStream(request, upload.content, { contentType: upload.mediaType }))

const proxied = (server: Server, uri: string, upload: Upload) =>
  Effect.gen(function* () {
    const url = endpoint(server.base, uri, "artifacts", upload.path)
    const bare = HttpClientRequest.put(url)
    // Who asks is told to the server that is configured, and to no other.
    const request = url.startsWith(server.base) ? yield* server.placed(bare) : bare
    const options = { classify: acceptingPlaces, ...patience(upload.bytes) }
    return refusal(yield* server.call(`upload ${upload.path}`, yield* withBody(request, upload), options))
  })

const post = (server: Server, url: string, body: unknown) =>
  server.placed(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyText(JSON.stringify(body), "application/json")))

const presigned = (server: Server, place: Place, upload: Upload) =>
  Effect.gen(function* () {
    const what = `ask where to put ${upload.path}`
    if (upload.bytes > presignedBytesMax) {
      return unavailable(
        `Artifacts of this run lie at ${place.artifactUri}, where no file above ${presignedBytesMax} bytes can be put.`
      )
    }
    const request = yield* post(server, `${server.base}/api/2.0/mlflow/artifacts/presigned-upload-url`, {
      run_id: place.run,
      path: upload.path
    })
    const answer = yield* server.call(what, request, { classify: acceptingNoPresigned })
    const refused = refusal(answer)
    if (refused !== undefined) {
      return unavailable(
        `Artifacts of this run lie at ${place.artifactUri}; its server neither takes them itself nor signs addresses there (${refused.message.slice(0, 200)}).`
      )
    }
    const { headers, presigned_url } = yield* decoded(what, PresignedUpload, answer)
    const target = HttpClientRequest.put(presigned_url).pipe(
      HttpClientRequest.bodyUint8Array(yield* gathered(upload, upload.path), upload.mediaType),
      HttpClientRequest.setHeaders(headers ?? {})
    )
    yield* server.call(`upload ${upload.path}`, target, patience(upload.bytes))
    return undefined
  })

const acceptingNoPresigned: Classify = (answer) =>
  [400, 404, 405, 501].includes(answer.status) ? "accepted" : classify(answer)

const multipart = (server: Server, uri: string, upload: Upload) =>
  Effect.gen(function* () {
    const folder = dirname(upload.path)
    const path = upload.path.slice(folder === "." ? 0 : folder.length + 1)
    const url = (action: string) => endpoint(server.base, uri, `mpu/${action}`, folder === "." ? "" : folder)
    const begin = yield* post(server, url("create"), { path, num_parts: Math.ceil(upload.bytes / partBytes) })
    const { credentials, upload_id } = yield* server.json(`begin to upload ${upload.path}`, begin, MultipartUpload)
    const parts: Array<{ readonly part_number: number; readonly etag: string; readonly url: string }> = []
    const send = (bytes: Uint8Array, index: number) =>
      Effect.gen(function* () {
        const part = credentials[index]
        if (part === undefined) return yield* transient("mlflow", `${upload.path} is longer than was said of it.`)
        const request = HttpClientRequest.put(part.url).pipe(
          HttpClientRequest.bodyUint8Array(bytes, "application/octet-stream"),
          HttpClientRequest.setHeaders(part.headers ?? {})
        )
        const answer = yield* server.call(`upload part ${index + 1} of ${upload.path}`, request, patience(bytes.length))
        parts.push({ part_number: part.part_number, etag: answer.headers["etag"] ?? "", url: part.url })
      })
    const finish = (action: string, body: object) =>
      Effect.flatMap(post(server, url(action), { path, upload_id, ...body }), (request) =>
        Effect.asVoid(server.call(`${action} the upload of ${upload.path}`, request))
      )
    yield* pieces(upload).pipe(
      Stream.mapError((error) => transient("mlflow", `Cannot read ${upload.path}: ${error.message}`, error)),
      Stream.zipWithIndex,
      Stream.runForEach(([bytes, index]) => send(bytes, index)),
      Effect.andThen(finish("complete", { parts })),
      Effect.onError(() => Effect.ignore(finish("abort", {})))
    )
    return undefined
  })

/** All of it in pieces of one size, but for the last. */
const pieces = ({ content }: Upload): Stream.Stream<Uint8Array, StorageError> =>
  Stream.mapAccum(
    Stream.concat(
      Stream.map(content, (bytes): Uint8Array | undefined => bytes),
      Stream.make(undefined)
    ),
    (): ReadonlyArray<Uint8Array> => [],
    (held, bytes): readonly [ReadonlyArray<Uint8Array>, ReadonlyArray<Uint8Array>] => {
      if (bytes === undefined) return [[], held.length === 0 ? [] : [Buffer.concat(held)]]
      const all = [...held, bytes]
      if (all.reduce((sum, one) => sum + one.length, 0) < partBytes) return [all, []]
      const joined = Buffer.concat(all)
      return [joined.length > partBytes ? [joined.subarray(partBytes)] : [], [joined.subarray(0, partBytes)]]
    }
  )

/** The folder that a URI names, where it names one. */
const folderOf = (uri: string): string | undefined =>
  uri.startsWith("file:") ? fileURLToPath(uri.replace(/^file:\/*/, "file:///")) : uri.startsWith("/") ? uri : undefined

/** `<root>/<experiment>/<run>/artifacts`: where the root is not here, the folder is that of another machine. */
const copied = (folder: string, upload: Upload): Effect.Effect<Refusal | undefined, BackendError> =>
  Effect.gen(function* () {
    const root = dirname(dirname(dirname(folder)))
    const isHere = yield* Effect.promise(() =>
      stat(root).then(
        (found) => found.isDirectory(),
        () => false
      )
    )
    if (!isHere) return unavailable(`Artifacts of this run lie in ${folder}, and there is no ${root} on this machine.`)
    const file = join(folder, upload.path)
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* Effect.tryPromise(() => mkdir(dirname(file), { recursive: true }))
        const part = `${file}.part`
        const handle = yield* Effect.acquireRelease(
          Effect.tryPromise(() => open(part, "w")),
          (opened) => Effect.promise(() => opened.close())
        )
        yield* Stream.runForEach(upload.content, (piece) => Effect.tryPromise(() => handle.write(piece)))
        yield* Effect.tryPromise(() => rename(part, file))
      })
    ).pipe(Effect.mapError((error) => transient("mlflow", `Cannot write ${file}: ${error.message}`, error)))
    return undefined
  })
