/** What an agent and the commands that deliver are told by their environment. */
import * as Retention from "@tracelet/core/Retention"
import type { Environment } from "./Session.ts"

/** Words for no, as the Python module has them. */
const off: ReadonlySet<string> = new Set(["0", "off", "false", "no"])

/** `TRACELET_ARCHIVE`: whether runs that are done are archived (journal.md §11). Default: they are. */
export const isArchiving = (env: Environment): boolean => !off.has((env["TRACELET_ARCHIVE"] ?? "").trim().toLowerCase())

/** `TRACELET_RETENTION_AGE` and `TRACELET_RETENTION_BYTES`; text for people where one of them is no age or no size. Default: nothing is removed. */
export const retention = (env: Environment): Retention.Policy | string => {
  const age = env["TRACELET_RETENTION_AGE"] ?? ""
  const bytes = env["TRACELET_RETENTION_BYTES"] ?? ""
  const longest = age === "" ? undefined : Retention.ageFromText(age)
  const most = bytes === "" ? undefined : Retention.bytesFromText(bytes)
  if (age !== "" && longest === undefined) return `${JSON.stringify(age)} is no age: write 12h, 30d or 8w`
  if (bytes !== "" && most === undefined) return `${JSON.stringify(bytes)} is no size: write 500MB, 10GB or 2GiB`
  return { ...(longest === undefined ? {} : { age: longest }), ...(most === undefined ? {} : { bytes: most }) }
}
