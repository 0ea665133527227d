/**
 * The agent's log: `agents/<host>.log`, at most 1 MiB and one older file (A6). Nothing may be lost of what it says before a crash, and it
 * says little, so each line is written at once. Secrets the agent was handed never get into it.
 */
import * as Cause from "effect/Cause"
import * as Logger from "effect/Logger"
import { appendFileSync, renameSync, statSync } from "node:fs"
import type { Secrets } from "./Secrets.ts"

export const bytesMax = 1_048_576

/** Longest line: a message may carry a server's answer. */
const lineCharactersMax = 8_192

/** One line an entry: time, level, message. A log that cannot be written is not a reason to stop. */
export const make = (
  path: string,
  secrets: Pick<Secrets, "redact">,
  limit: number = bytesMax
): Logger.Logger<unknown, void> => {
  let bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  return Logger.make(({ cause, date, logLevel, message }) => {
    const parts = (Array.isArray(message) ? message : [message]).map(toText)
    if (cause.reasons.length > 0) parts.push(Cause.pretty(cause))
    const text = secrets
      .redact(parts.join(" "))
      .replace(/\s*\n\s*/g, " | ")
      .slice(0, lineCharactersMax)
    const line = Buffer.from(`${date.toISOString()} ${logLevel} ${text}\n`)
    try {
      if (bytes + line.length > limit) {
        renameSync(path, `${path}.1`)
        bytes = 0
      }
      appendFileSync(path, line, { mode: 0o600 })
      bytes += line.length
    } catch {
      // The disk is full, or the folder is gone: the journal matters, the log does not.
    }
  })
}

const toText = (part: unknown): string => {
  if (typeof part === "string") return part
  if (part instanceof Error) return part.message
  return JSON.stringify(part) ?? String(part)
}
