/**
 * `tracelet backends`: the backends that come with tracelet, what can be configured of each, and which variable gives it. Whether one is set is said,
 * never what it is set to.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Distribution from "../Distribution.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import { marks, Session } from "../Session.ts"
import * as Table from "../Table.ts"

export const command = Command.make("backends", {}, () =>
  Effect.gen(function* () {
    const session = yield* Session
    const all = Distribution.backends.map((plugin) => toOutput(plugin, session))
    if (yield* Frame.AsJson) return yield* Frame.printJson(all)
    return yield* Frame.printLines(all.flatMap((one, i) => [...(i === 0 ? [] : [""]), ...page(one, session)]))
  })
).pipe(
  Command.withDescription(
    "List the backends that come with tracelet, what can be configured of each, and which variables give it; ✓ marks one that is set here."
  ),
  Command.withShortDescription("List the backends and their variables"),
  Command.withExamples([
    { command: "tracelet backends" },
    { command: "tracelet backends --json", description: "For a script" }
  ])
)

const toOutput = (plugin: Distribution.BackendPlugin, { env }: Session["Service"]): Output.BackendPlugin => ({
  name: plugin.id.replace(/^backend\./, ""),
  plugin: plugin.id,
  version: plugin.version,
  stability: plugin.stability,
  description: plugin.description,
  keys: plugin.config.keys.map((key) => ({
    name: key.name,
    description: key.description,
    required: key.isRequired,
    secret: key.isSecret,
    ...(key.default === undefined ? {} : { default: key.default }),
    variables: key.variables.map((name) => ({ name, set: (env[name] ?? "") !== "" }))
  }))
})

const columns: ReadonlyArray<Table.Column> = [
  { title: "key", align: "left" },
  { title: "default", align: "left", shrinkTo: 8 },
  { title: "variables, the first that is set counts", align: "left", shrinkTo: 20 },
  { title: "what it is", align: "left", shrinkTo: 20, drop: 1 }
]

const page = (one: Output.BackendPlugin, session: Session["Service"]): ReadonlyArray<string> => {
  const { paint } = session
  const { dot, good } = marks(session)
  const rows = one.keys.map(({ name, variables, description, ...key }) => [
    { text: name, brush: paint.bold },
    defaultOf(key),
    variables.map((variable) => (variable.set ? `${variable.name} ${good}` : variable.name)).join(", "),
    description
  ])
  return [
    paint.bold(one.name) + paint.dim(dot) + [one.plugin, one.version, one.stability].join(paint.dim(dot)),
    one.description,
    ...Table.render(columns, rows, Table.on(session, { indent: 2 }))
  ]
}

const defaultOf = (key: Pick<Output.BackendKey, "required" | "secret" | "default">): string => {
  if (key.required) return key.secret ? "required, secret" : "required"
  if (key.secret) return "secret"
  if (typeof key.default !== "string") return key.default === undefined ? "" : JSON.stringify(key.default)
  // As a Schema of durations writes them.
  const millis = /^(\d+) millis$/.exec(key.default)?.[1]
  return millis === undefined ? key.default : Duration.format(Duration.millis(Number(millis)))
}
