/**
 * One execution: its id, name, project, tags and status. What a run logged is in its events.
 */
import * as Schema from "effect/Schema"
import { Id, Name } from "./Name.ts"
import { TextObject } from "./JsonObject.ts"

/** 32 lower-case hexadecimal digits when generated; see `Name.idPattern` for what else is legal. */
export const RunId = Id.pipe(Schema.brand("RunId"))
export type RunId = typeof RunId.Type

/** 16 lower-case hexadecimal digits when generated. */
export const WriterId = Id.pipe(Schema.brand("WriterId"))
export type WriterId = typeof WriterId.Type

/**
 * `running` while a writer lives; `finished`, `failed` or `killed` as the end record, or its absence, says; `stale` when it cannot be
 * known from this host (journal.md §10).
 */
export const Status = Schema.Literals(["running", "finished", "failed", "killed", "stale"])
export type Status = typeof Status.Type

/** Whether more may come: a writer lives, or it cannot be known from here whether one does. */
export const isOpen = (status: Status): status is "running" | "stale" => status === "running" || status === "stale"

export const EndStatus = Schema.Literals(["finished", "failed", "killed"])
export type EndStatus = typeof EndStatus.Type

export const Run = Schema.Struct({ id: RunId, project: Name, name: Name, tags: TextObject })
export interface Run extends Schema.Schema.Type<typeof Run> {}

export const defaultProject = "default"

/** The name of a run that was given none. */
export const defaultName = (id: string): string => `run-${id.slice(0, 8)}`

/** The order in which the statuses of several writers decide that of their run: the first one present wins (J10.2). */
const precedence: ReadonlyArray<Status> = ["running", "failed", "killed", "stale", "finished"]

/** The status of a run from those of its writers; `killed` when there is none. */
export const worst = (statuses: Iterable<Status>): Status => {
  const present = new Set(statuses)
  return precedence.find((status) => present.has(status)) ?? "killed"
}
