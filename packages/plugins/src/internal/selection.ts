/** Config keys that the processors share, and what is made of them. */
import type { Series } from "@tracelet/core/Series"
import * as Name from "@tracelet/core/Name"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const compile = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`, "u")

const isPattern = (pattern: string): true | string => {
  try {
    compile(pattern)
    return true
  } catch (cause) {
    return `is no regular expression: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

/** Which series are taken in: those whose whole name a regular expression matches. */
export const series = Schema.String.check(Schema.makeFilter(isPattern)).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed(".*")),
  Schema.annotateKey({
    description: "Regular expression over whole names of series: which are taken in. Default: all."
  })
)

export const matcher = (pattern: string): ((series: Series) => boolean) => {
  const matches = compile(pattern)
  return ({ name }) => matches.test(name)
}

export const nameOf = Name.Id

export const name = (byDefault: string) =>
  Name.Id.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(byDefault)),
    Schema.annotateKey({
      description: `Name of its derived journal; two of one kind in one app need two. Default: \`${byDefault}\`.`
    })
  )

export const captured = Schema.Literals(["kept", "replaced"]).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed("kept" as const)),
  Schema.annotateKey({
    description:
      "Whether backends get what is taken in too (`kept`, the default), or only what comes of it (`replaced`)."
  })
)
