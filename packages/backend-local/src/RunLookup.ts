/**
 * What a user may type for a run (`RUN`): an id, a unique prefix of one, a name (the newest run of it), or `project/name`; tried in this
 * order. Here are the two ways it fails, and the search for what was meant; the rows come from `LocalReader`.
 */
import * as Schema from "effect/Schema"

/** What is shown of a run to tell it from others. `startedAt` in seconds since the Unix epoch. */
export const Candidate = Schema.Struct({
  id: Schema.String,
  project: Schema.String,
  name: Schema.String,
  startedAt: Schema.Number
})
export interface Candidate extends Schema.Schema.Type<typeof Candidate> {}

/** Most candidates an error carries. */
export const candidatesMax = 8

/** No run is meant by `query`. `nearest` holds up to eight that are spelt much like it, nearest first; it may be empty. */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", {
  query: Schema.String,
  nearest: Schema.Array(Candidate)
}) {
  override get message(): string {
    const near = this.nearest.map(({ id, project, name }) => `${project}/${name} (${id.slice(0, 8)})`)
    return `No run is called ${JSON.stringify(this.query)}.${near.length === 0 ? "" : ` Near it: ${near.join(", ")}.`}`
  }
}

/** `query` begins the ids of several runs: up to eight of them, newest first, and how many there are. */
export class RunAmbiguous extends Schema.TaggedError<RunAmbiguous>()("RunAmbiguous", {
  query: Schema.String,
  candidates: Schema.Array(Candidate),
  total: Schema.Int
}) {
  override get message(): string {
    const some = this.candidates.map(({ id, name }) => `${id} (${name})`)
    return `${JSON.stringify(this.query)} begins the ids of ${this.total} runs: ${some.join(", ")}. Give more of the id.`
  }
}
