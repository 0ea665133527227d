/**
 * The shapes that travel over the agent's socket, and the two errors of who asks (docs/spec/agent.md). What the parts of a run mean is
 * `BackendStanding`'s and `Run.Status`'s business.
 */
import { BackendStanding } from "@tracelet/core/BackendStanding"
import { Id } from "@tracelet/core/Name"
import { RunId, Status } from "@tracelet/core/Run"
import * as Schema from "effect/Schema"

/** Of the protocol, not of tracelet. */
export const version = 1

/** Longest body either way, in bytes (A5). */
export const bodyBytesMax = 1_048_576

/** `drained`: nothing that is in the journals now is still to be sent and, when the run is over, each backend has closed it. */
export const RunView = Schema.Struct({
  id: RunId,
  status: Status,
  drained: Schema.Boolean,
  backends: Schema.Record(Id, BackendStanding)
})
export interface RunView extends Schema.Schema.Type<typeof RunView> {}

/** `startedAt` in seconds since the Unix epoch. */
export const AgentStatus = Schema.Struct({
  version: Schema.Int,
  tracelet: Schema.String,
  pid: Schema.Int,
  host: Schema.String,
  dir: Schema.String,
  startedAt: Schema.Finite,
  rssBytes: Schema.Int,
  runs: Schema.Array(RunView)
})
export interface AgentStatus extends Schema.Schema.Type<typeof AgentStatus> {}

/** Secrets by the backend's name in the run, then by the key of its config. */
export const SecretsBody = Schema.Record(Id, Schema.Record(Schema.String, Schema.String))

export const Announcement = Schema.Struct({ run: RunId, secrets: Schema.optionalKey(SecretsBody) })
export interface Announcement extends Schema.Schema.Type<typeof Announcement> {}

/** What comes with every answer of 400 and above but 401. */
export const Refusal = Schema.Struct({ error: Schema.String })

/** Nobody answers for this folder on this host. */
export class AgentNotRunning extends Schema.TaggedError<AgentNotRunning>()("AgentNotRunning", {
  folder: Schema.String,
  message: Schema.String
}) {}

/** The agent, or what it needs from the machine, failed. `status` is that of the answer, or 0. */
export class AgentError extends Schema.TaggedError<AgentError>()("AgentError", {
  status: Schema.Int,
  message: Schema.String
}) {}
