/**
 * How far one backend is with one run: what a lane says of itself, the agent over its socket (docs/spec/agent.md) and the commands with `--json`.
 */
import * as Schema from "effect/Schema"

/**
 * - `idle`: everything there is was delivered, and the run goes on.
 * - `delivering`: a batch is on its way.
 * - `waiting`: the backend failed and will be tried again by itself; `reason` says how.
 * - `held`: nothing is sent until somebody acts; `reason` says what to do.
 * - `missing`: the backend is not installed here. `error`: its config is not usable.
 * - `done`: the run is over, all of it confirmed, and closed at the backend.
 */
export const State = Schema.Literals(["idle", "delivering", "waiting", "held", "missing", "error", "done"])
export type State = typeof State.Type

/** Counts are events: a record of columns counts its points (journal.md J7.8). */
export const BackendStanding = Schema.Struct({
  delivered: Schema.Int,
  pending: Schema.Int,
  deadLetter: Schema.Int,
  state: State,
  reason: Schema.optionalKey(Schema.String)
})
export interface BackendStanding extends Schema.Schema.Type<typeof BackendStanding> {}
