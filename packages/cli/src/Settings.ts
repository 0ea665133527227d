/** What an agent and the commands that deliver are told by their environment. */
import * as Retention from "@tracelet/core/Retention"
import type { Environment } from "./Session.ts"

/** Words for no and for yes, as the Python module has them. */
const off: ReadonlySet<string> = new Set(["0", "off", "false", "no"])
const on: ReadonlySet<string> = new Set(["1", "on", "true", "yes"])

/** `TRACELET_ARCHIVE`: whether runs that are done are archived (journal.md §11). Default: they are. */
export const isArchiving = (env: Environment): boolean => !off.has(word(env["TRACELET_ARCHIVE"]))

const word = (text = ""): string => text.trim().toLowerCase()

/** Text for people about a `TRACELET_ARCHIVE` that is neither on nor off. */
export const archiveProblem = (env: Environment): string | undefined => {
  const given = env["TRACELET_ARCHIVE"] ?? ""
  if (word(given) === "" || on.has(word(given)) || off.has(word(given))) return undefined
  return `TRACELET_ARCHIVE=${JSON.stringify(given)} was taken for on: on or off is wanted`
}

/** `TRACELET_RETENTION_AGE` and `TRACELET_RETENTION_BYTES`; text for people where one of them is no age or no size. Default: nothing is removed. */
export const retention = (env: Environment): Retention.Policy | string => {
  const age = env["TRACELET_RETENTION_AGE"] ?? ""
  const bytes = env["TRACELET_RETENTION_BYTES"] ?? ""
  const longest = age === "" ? undefined : Retention.ageFromText(age)
  const most = bytes === "" ? undefined : Retention.bytesFromText(bytes)
  if (age !== "" && longest === undefined)
    return `${JSON.stringify(age)} is no age: write 12h, 30d or 8w (--age, TRACELET_RETENTION_AGE)`
  if (bytes !== "" && most === undefined)
    return `${JSON.stringify(bytes)} is no size: write 500MB, 10GB or 2GiB (--bytes, TRACELET_RETENTION_BYTES)`
  return { ...(longest === undefined ? {} : { age: longest }), ...(most === undefined ? {} : { bytes: most }) }
}
