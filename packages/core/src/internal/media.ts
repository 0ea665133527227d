/**
 * Media: what is logged at a step and is no number. Each becomes the bytes of a file of a known type, which is kept, and an event that names
 * it. What has no such form is refused: counted, and warned of once at the end of the run.
 */
import * as Effect from "effect/Effect"
import type { CurrentRun } from "../CurrentRun.ts"
import { isJsonObject } from "../JsonObject.ts"
import type { StorageError } from "../JournalStorage.ts"
import * as Name from "../Name.ts"
import { isStep } from "../Point.ts"
import { histogramCountsMax, type Media, type MediaKind } from "../RunEvent.ts"
import { isSeriesContext } from "../SeriesContext.ts"
import { encodeText } from "./bytes.ts"
import { describeValue } from "./describeValue.ts"
import { histogramOf, type Counted } from "./histogram.ts"
import { currentRun, event, raised, whenEnded, type LogOptions } from "./intoRun.ts"
import { contextProblem, stepProblem } from "./journalWriter.ts"
import * as Json from "./json.ts"
import { imageTypeOf, markupTypeOf } from "./mediaType.ts"
import { encode as encodePng, type Pixels } from "./png.ts"
import { tableOf, type Table } from "./table.ts"

/** Longest medium, in bytes. What is longer is an artifact. */
export const mediaBytesMax = 64 * 1024 * 1024

/** A medium as a file, or why it is none. */
type Encoded = Pick<Media, "mediaType" | "edges" | "counts"> & { readonly content: Uint8Array }
type Encoding = Effect.Effect<Encoded | string>

/**
 * Logs an image: a PNG, JPEG, GIF or WebP as it is, or pixels, which become a PNG. Steps as in `log`, but of the images of this name.
 */
export const logImage = (
  name: string,
  image: Uint8Array | Pixels,
  options: LogOptions = {}
): Effect.Effect<void, never, CurrentRun> =>
  medium("image", name, options, ({ writer }) => {
    if (!(image instanceof Uint8Array)) {
      if (!isJsonObject(image)) return Effect.succeed("it is neither bytes nor pixels")
      return Effect.map(encodePng(image, writer.blobs.storage.deflate), (png) =>
        typeof png === "string" ? png : { mediaType: "image/png", content: png }
      )
    }
    const mediaType = imageTypeOf(image)
    return Effect.succeed(
      mediaType === undefined ? "the bytes are no PNG, JPEG, GIF or WebP" : { mediaType, content: image }
    )
  })

/**
 * Logs a histogram: of values, into 64 equally wide bins between the least and the greatest, NaN and the infinities left out; or of counts and
 * edges, of which there is one more.
 */
export const logHistogram = (
  name: string,
  values: Iterable<number> | Counted,
  options: LogOptions & {
    /** How many bins values are put into, 1 to 4,096. Default 64. */
    readonly bins?: number
  } = {}
): Effect.Effect<void, never, CurrentRun> =>
  medium("histogram", name, options, () => {
    const histogram = histogramOf(values, options.bins ?? 64, histogramCountsMax)
    if (typeof histogram === "string") return Effect.succeed(histogram)
    const content = encodeText(JSON.stringify(histogram))
    return Effect.succeed({ mediaType: "application/json", content, ...histogram })
  })

/** Logs a table: rows as objects, columns as arrays by their names, or `{ columns, data }` with an array a row. Cells are any JSON. */
export const logTable = (
  name: string,
  table: Table,
  options: LogOptions = {}
): Effect.Effect<void, never, CurrentRun> =>
  medium("table", name, options, () => {
    const json = Json.stringify(tableOf(table))
    return Effect.succeed(
      json === undefined
        ? "it is no table, or a cell has no JSON form"
        : { mediaType: "application/json", content: encodeText(json) }
    )
  })

/** Logs a figure: SVG or HTML as text, a picture as `logImage` takes it, or what Plotly draws, `{ data, layout }`. */
export const logFigure = (
  name: string,
  figure: string | Uint8Array | { readonly data: ReadonlyArray<unknown>; readonly layout?: unknown },
  options: LogOptions = {}
): Effect.Effect<void, never, CurrentRun> =>
  medium("figure", name, options, () => {
    if (figure instanceof Uint8Array) {
      const mediaType = imageTypeOf(figure)
      return Effect.succeed(
        mediaType === undefined ? "the bytes are no PNG, JPEG, GIF or WebP" : { mediaType, content: figure }
      )
    }
    if (typeof figure === "string") {
      const mediaType = markupTypeOf(figure)
      return Effect.succeed(
        mediaType === undefined ? "the text is neither SVG nor HTML" : { mediaType, content: encodeText(figure) }
      )
    }
    const json = isJsonObject(figure) && Array.isArray(figure["data"]) ? Json.stringify(figure) : undefined
    return Effect.succeed(
      json === undefined
        ? "it is neither SVG, HTML, a picture nor what Plotly draws"
        : { mediaType: "application/vnd.plotly.v1+json", content: encodeText(json) }
    )
  })

/** Its time is that of the call, and so is the step it takes, however long the rest takes. */
const medium = (
  kind: MediaKind,
  name: string,
  options: LogOptions,
  encode: (current: CurrentRun["Service"]) => Encoding
): Effect.Effect<void, never, CurrentRun> =>
  Effect.withFiber<void, never, CurrentRun>((fiber) => {
    const current = currentRun(fiber)
    const { clock, writer } = current
    if (writer.isClosed) return Effect.orDie(whenEnded(current, name))
    const refuse = (reason: string) => Effect.sync(() => writer.refuse(`${kind}: ${reason}`, name))
    const time = clock.currentTimeMillisUnsafe() / 1000
    return Effect.suspend(() => {
      const { step, context = {} } = options
      const problem = Name.problem(name)
      if (problem !== undefined) return refuse(problem)
      if (step !== undefined && !isStep(step)) return refuse(stepProblem)
      if (!isSeriesContext(context)) return refuse(contextProblem)
      const at = writer.nextStep(kind, name, context, step)
      return Effect.flatMap(encode(current), (encoded) => {
        if (typeof encoded === "string") return refuse(encoded)
        const { content, ...fields } = encoded
        if (content.length > mediaBytesMax) return refuse(`it has more than ${mediaBytesMax} bytes`)
        return writer.blobs.keep(content).pipe(
          Effect.matchEffect({
            onFailure: (error) => refuse(notKept(error)),
            onSuccess: (blob) =>
              event(name, () =>
                writer.event({ _tag: "Media", time, name, context, step: at, kind, ...fields, ...blob })
              )
          })
        )
      })
    }).pipe(Effect.catchDefect((defect) => refuse(`${raised}: ${describeValue(defect).slice(0, 200)}`)))
  })

/** A reason for many: which file it was stands in no sentence that is counted. */
export const notKept = ({ code, operation }: StorageError): string =>
  `could not ${operation} a file${code === "" ? "" : ` (${code})`}`
