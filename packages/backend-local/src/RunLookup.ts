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

/** Of `runs`, newest first, those whose id, name or `project/name` holds `query` or is spelt much like it. */
export const nearest = (query: string, runs: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
  const wanted = query.slice(0, comparedMax).toLowerCase()
  if (wanted === "") return []
  const distanceMax = Math.max(1, Math.floor(wanted.length / 3))
  return runs
    .map((run) => ({
      run,
      distance: Math.min(
        ...[run.id, run.name, `${run.project}/${run.name}`].map((text) => distance(wanted, text.toLowerCase()))
      )
    }))
    .filter(({ distance }) => distance <= distanceMax)
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, candidatesMax)
    .map(({ run }) => run)
}

/** Longest part of a text that is compared. */
const comparedMax = 64

/** 0 when `text` holds `wanted`; else how many characters have to be added, taken away or changed (Levenshtein). */
const distance = (wanted: string, text: string): number => {
  if (text.includes(wanted)) return 0
  const compared = text.slice(0, comparedMax)
  let row = Array.from({ length: compared.length + 1 }, (_, i) => i)
  for (let i = 1; i <= wanted.length; i++) {
    const next = [i]
    for (let j = 1; j <= compared.length; j++) {
      const changed = (row[j - 1] ?? 0) + (wanted[i - 1] === compared[j - 1] ? 0 : 1)
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
