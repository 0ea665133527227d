/**
 * `tracelet prune --age 30d --bytes 10GB`: applies a retention policy by hand. Shows first what would go; what goes and what never does is
 * `core/src/Retention.ts`'s.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Journal } from "@tracelet/core/Journal"
import * as Retention from "@tracelet/core/Retention"
import * as Distribution from "../Distribution.ts"
import * as Failure from "../Failure.ts"
import { CommandError, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import { Session } from "../Session.ts"
import * as Settings from "../Settings.ts"
import * as Text from "../Text.ts"

const flags = {
  age: Flag.String("age").pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription("Runs that ended longer ago: 12h, 30d, 8w; default TRACELET_RETENTION_AGE"),
    Flag.optional
  ),
  bytes: Flag.String("bytes").pipe(
    Flag.withMetavar("SIZE"),
    Flag.withDescription(
      "The oldest, until the journals of all runs take no more: 500MB, 10GB, 2GiB; default TRACELET_RETENTION_BYTES"
    ),
    Flag.optional
  ),
  yes: Flag.Boolean("yes").pipe(
    Flag.withAlias("y"),
    Flag.withoutNegation,
    Flag.withDescription("Remove them; without it they are only shown, or asked for on a terminal"),
    Flag.withDefault(false)
  )
}

export const command = Command.make("prune", flags, ({ age, bytes, yes }) =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const { ask, env } = yield* Session
      const policy = Settings.retention({
        ...env,
        ...(Option.isSome(age) ? { TRACELET_RETENTION_AGE: age.value } : {}),
        ...(Option.isSome(bytes) ? { TRACELET_RETENTION_BYTES: bytes.value } : {})
      })
      if (typeof policy === "string") return yield* new UsageError({ message: policy, hint: "" })
      if (Retention.isEmpty(policy)) {
        return yield* new UsageError({
          message: "Nothing says which runs may go.",
          hint: "Give --age 30d, --bytes 10GB, or both."
        })
      }
      // So that what commands have delivered to the store alone counts as delivered there.
      yield* Frame.current()
      const journal = yield* Journal
      const now = (yield* Clock.currentTimeMillis) / 1000
      const candidates = yield* Retention.survey(journal)
      const chosen = Retention.choose(candidates, policy, now)
      const isTold =
        yes || (chosen.length > 0 && ask !== undefined && isYes(yield* ask(question(chosen, candidates, now))))
      const removed: Array<Retention.Removed> = []
      if (isTold) {
        yield* Retention.clearUp(journal)
        const distribution = yield* Distribution.make()
        for (const choice of chosen) {
          // One that cannot be removed keeps no other one.
          const outcome = yield* Effect.catch(
            Retention.remove(journal, choice, distribution.targetsOf),
            ({ message: obstacle }) => Effect.succeed({ obstacle })
          )
          if (!("obstacle" in outcome)) removed.push(outcome)
          else yield* Frame.note(`${called(choice.candidate)} stays: ${Failure.sentence(outcome.obstacle)}`)
        }
      }
      const answer: Output.Pruned = {
        removed: isTold,
        runs: chosen
          .filter(({ candidate }) => !isTold || removed.some(({ run }) => run.id === candidate.id))
          .map(({ candidate: { id, name, endedAt, bytes: size }, why }) => ({
            id,
            name,
            endedAt: Format.iso(endedAt),
            bytes: size,
            why
          })),
        kept: kept(candidates, policy, now).map(({ id, name, obstacle }) => ({ id, name, reason: obstacle ?? "" }))
      }
      if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
      if (!isTold && chosen.length > 0 && ask !== undefined) {
        return yield* new CommandError({ tag: "NotConfirmed", message: "Nothing was removed.", hint: "" })
      }
      return yield* Frame.printLines(page(answer, chosen, candidates, now))
    }).pipe(Effect.scoped)
  )
).pipe(
  Command.withDescription(
    "Remove the oldest runs, by age or size: only those that are over and wholly delivered, with their rows in the store. A record of each stays. " +
      "An agent does so by itself where TRACELET_RETENTION_AGE or _BYTES is set; by default nothing is ever removed."
  ),
  Command.withShortDescription("Remove old runs by age or size"),
  Command.withExamples([
    { command: "tracelet prune --age 30d", description: "Show what would go" },
    { command: "tracelet prune --age 90d --bytes 10GB --yes --json", description: "In a script" }
  ])
)

const isYes = (answer: string): boolean => /^y(es)?$/i.test(answer.trim())

const called = ({ name, id }: { readonly name: string; readonly id: string }): string =>
  `${Text.printable(name)} (${id.slice(0, 8)})`

/** Those that the policy would take, were it not for what stands against it. */
const kept = (candidates: ReadonlyArray<Retention.Candidate>, policy: Retention.Policy, now: number) => {
  const all = Retention.choose(
    candidates.map((candidate) => ({ ...candidate, obstacle: undefined })),
    policy,
    now
  )
  const ids = new Set<string>(all.map(({ candidate }) => candidate.id))
  return candidates.filter(({ id, obstacle }) => obstacle !== undefined && ids.has(id))
}

const line = ({ candidate, why }: Retention.Choice, now: number): string =>
  `  ${called(candidate)}, ended ${Format.duration(now - candidate.endedAt)} ago, ${Format.bytes(candidate.bytes)}: ` +
  (why === "age" ? "too old" : "too large together")

const question = (
  chosen: ReadonlyArray<Retention.Choice>,
  candidates: ReadonlyArray<Retention.Candidate>,
  now: number
): string =>
  `${summary(chosen, candidates)}, for good:\n${chosen.map((choice) => `${line(choice, now)}\n`).join("")}Remove them? [y/N] `

const summary = (chosen: ReadonlyArray<Retention.Choice>, candidates: ReadonlyArray<Retention.Candidate>): string => {
  const size = chosen.reduce((sum, { candidate }) => sum + candidate.bytes, 0)
  return `${Format.plural(chosen.length, "run")} of ${candidates.length}, ${Format.bytes(size)}`
}

const page = (
  answer: Output.Pruned,
  chosen: ReadonlyArray<Retention.Choice>,
  candidates: ReadonlyArray<Retention.Candidate>,
  now: number
): ReadonlyArray<string> => {
  const gone = chosen.filter(({ candidate }) => answer.runs.some(({ id }) => id === candidate.id))
  const head =
    gone.length === 0
      ? "No run is to be removed."
      : answer.removed
        ? `Removed ${summary(gone, candidates)}:`
        : `Would remove ${summary(gone, candidates)}; --yes does:`
  return [
    head,
    ...gone.map((choice) => line(choice, now)),
    ...answer.kept.map((run) => `${called(run)} stays: ${Failure.sentence(run.reason)}`)
  ]
}
