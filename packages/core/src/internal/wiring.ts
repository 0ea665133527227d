/**
 * What is wrong with options where nothing had checked their types: plain JavaScript, JSON that became options. A problem is a sentence
 * that says what was given and what is wanted; it never shows a text or an object, since that may hold a secret.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"

type Problem = string | undefined
type Check = (path: string, value: unknown) => Problem

/** `what` completes "… is null, and … is wanted". */
const unwanted = (what: string, value: unknown, wanted: string): string =>
  `${what} is ${given(value)}, and ${wanted} is wanted.`

/** The same of an option by its path: `backends.local`. */
export const unwantedOption = (path: string, value: unknown, wanted: string): string =>
  unwanted(`\`${path}\` of Tracelet.layer`, value, wanted)

const given = (value: unknown): string => {
  if (value === null || ["undefined", "number", "boolean", "bigint"].includes(typeof value)) return String(value)
  if (Array.isArray(value)) return "a list"
  return typeof value === "object" ? "an object" : typeof value === "string" ? "a text" : `a ${typeof value}`
}

const check =
  (wanted: string, is: (value: unknown) => boolean): Check =>
  (path, value) =>
    is(value) ? undefined : unwantedOption(path, value, wanted)

const optional =
  (of: Check): Check =>
  (path, value) =>
    value === undefined ? undefined : of(path, value)

const isPlugin = (value: unknown): boolean =>
  Predicate.isReadonlyObject(value) &&
  typeof value["id"] === "string" &&
  Layer.isLayer(value["layer"]) &&
  Effect.isEffect(value["recorded"])

const isPure = (value: unknown): boolean =>
  Predicate.isReadonlyObject(value) && typeof value["id"] === "string" && typeof value["apply"] === "function"

const plugin: Check = (path, value) => {
  const wanted = "a configured plugin such as Local.plugin()"
  if (isPlugin(value)) return undefined
  // The module of a plugin, or the function that configures it.
  const isUncalled = typeof value === "function" || Predicate.hasProperty(value, "plugin")
  return unwantedOption(path, value, isUncalled ? `what its function \`plugin\` returns, ${wanted},` : wanted)
}

const processor: Check = (path, value) =>
  isPure(value) || isPlugin(value)
    ? undefined
    : unwantedOption(path, value, 'a processor such as Processor.keep("loss")')

const route = optional(
  check(
    'a route such as Route.kinds("points")',
    (value) =>
      Predicate.isReadonlyObject(value) && typeof value["accepts"] === "function" && value["pinned"] !== undefined
  )
)

const record =
  (wanted: string, of: Check): Check =>
  (path, value) => {
    if (!Predicate.isReadonlyObject(value)) return unwantedOption(path, value, wanted)
    return first(Object.entries(value).map(([name, field]) => of(`${path}.${name}`, field)))
  }

const list =
  (of: Check): Check =>
  (path, value) =>
    Array.isArray(value)
      ? first(value.map((entry: unknown, i) => of(`${path}[${i}]`, entry)))
      : unwantedOption(path, value, "a list")

const first = (problems: ReadonlyArray<Problem>): Problem => problems.find((problem) => problem !== undefined)

const bytesFrom = (least: number): Check =>
  optional(check("a number of bytes", (value) => typeof value === "number" && value >= least))

const checks: Readonly<Record<string, Check>> = {
  backends: record("an object such as { local: Local.plugin() }", plugin),
  routes: optional(record("an object of routes by the names of backends", route)),
  collectors: optional(list(plugin)),
  processors: optional(list(processor)),
  onFull: optional(check('"block" or "dropNewest"', (value) => value === "block" || value === "dropNewest")),
  bufferBytes: bytesFrom(1),
  retention: optional((path, value) =>
    Predicate.isReadonlyObject(value)
      ? bytesFrom(0)(`${path}.bytes`, value["bytes"])
      : unwantedOption(path, value, 'an object such as { age: "30 days" }')
  )
}

/** Of the options of `Tracelet.layer`. May raise, as reading them may. */
export const layerProblem = (options: unknown): Problem =>
  Predicate.isReadonlyObject(options)
    ? first(Object.entries(checks).map(([name, of]) => of(name, options[name])))
    : unwanted("What Tracelet.layer was given", options, "an object such as { backends: { local: Local.plugin() } }")

/** Of the options of a run. */
export const runProblem = (options: unknown): Problem =>
  Predicate.isReadonlyObject(options)
    ? undefined
    : unwanted("What a run was given as its options", options, 'an object such as { project: "digits" }')

/** Of the path of a folder. */
export const folderProblem = (dir: unknown): Problem =>
  typeof dir === "string" && dir !== ""
    ? undefined
    : `The folder of the journals is ${dir === "" ? "an empty text" : given(dir)}, and a path such as ".tracelet" is wanted.`
