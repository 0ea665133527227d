/** What an agent and the commands that deliver are told by their environment. */
import type { Environment } from "./Session.ts"

/** Words for no, as the Python module has them. */
const off: ReadonlySet<string> = new Set(["0", "off", "false", "no"])

/** `TRACELET_ARCHIVE`: whether runs that are done are archived (journal.md §11). Default: they are. */
export const isArchiving = (env: Environment): boolean => !off.has((env["TRACELET_ARCHIVE"] ?? "").trim().toLowerCase())
