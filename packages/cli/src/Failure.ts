/**
 * How a command fails: one line for people with what to do, or one object for programs, and an exit code. Commands fail with the errors of
 * what they call, or with a `CommandError` of their own; `describe` makes the one shape of all of them.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Text from "./Text.ts"

/** 1: it did not work. 2: wrong usage. 3: `sync` left something undelivered. */
export type ExitCode = 0 | 1 | 2 | 3

/** A failure of the command itself. `hint` says what to do; it may be empty where the message does. */
export class CommandError extends Schema.TaggedError<CommandError>()("CommandError", {
  tag: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

/** A wrong use that only the command itself could notice. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  message: Schema.String,
  hint: Schema.String
}) {}

export interface Description {
  readonly tag: string
  readonly message: string
  readonly hint: string
  readonly exitCode: ExitCode
}

/** Errors whose messages need words on what to do next, by tag. The others say it in their message. */
const hints: ReadonlyMap<string, string> = new Map([
  ["RunNotFound", "`tracelet runs` lists what there is; --dir or TRACELET_DIR chooses another folder."],
  ["RunAmbiguous", "`tracelet runs` lists the ids."],
  ["BackendError", "`tracelet doctor` looks at the folder and the store."],
  ["StorageError", "`tracelet doctor` looks at the folder."]
])

/** Anything a command can fail with, a defect included. */
export const describe = (error: unknown): Description => {
  const message = error instanceof Error && error.message !== "" ? oneLine(error.message) : String(error)
  if (error instanceof CommandError) return { tag: error.tag, message, hint: error.hint, exitCode: 1 }
  if (error instanceof UsageError) return { tag: "UsageError", message, hint: error.hint, exitCode: 2 }
  if (Predicate.hasProperty(error, "_tag") && typeof error._tag === "string") {
    return { tag: error._tag, message, hint: hints.get(error._tag) ?? "", exitCode: 1 }
  }
  return {
    tag: "Defect",
    message: `tracelet stopped at something it did not expect: ${message}`,
    hint: "Please report it, with the output of `tracelet doctor`.",
    exitCode: 1
  }
}

/** The line on stderr. What a user gave is in it, so nothing of it may move the cursor. */
export const toLine = ({ message, hint }: Description): string =>
  Text.printable(`tracelet: ${sentence(message)}${hint === "" ? "" : ` ${hint}`}`)

/** With a full stop where it has no end of its own. */
export const sentence = (text: string): string => (/[.!?…][)"'`]*$/.test(text) ? text : `${text}.`)

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, " ")

/** The command has said all there is to say; only the exit code is left. */
export class Unfinished extends Schema.TaggedError<Unfinished>()("Unfinished", {
  exitCode: Schema.Literals([1, 3])
}) {}
