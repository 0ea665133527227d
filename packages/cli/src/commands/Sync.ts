/**
 * `tracelet sync [RUN]`: delivers what is pending, now, and says what is left. Exit code 0 when that is nothing, 3 otherwise. Who delivers
 * what is `SyncRuns`'s; here the runs are chosen, progress is shown, and the result printed.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { existsSync } from "node:fs"
import { join, resolve, sep } from "node:path"
import * as Agents from "../Agents.ts"
import * as EmptyRuns from "../EmptyRuns.ts"
import * as Failure from "../Failure.ts"
import { Unfinished } from "../Failure.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import * as Lookup from "../Lookup.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import { Session } from "../Session.ts"
import * as Settings from "../Settings.ts"
import * as SyncRuns from "../SyncRuns.ts"
import * as Text from "../Text.ts"
import { Place } from "../Workspace.ts"
import { backendsTable } from "./Status.ts"

const units: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000]
])

/** `90`, `60s`, `1.5m`, `500ms`; without a unit it is seconds. */
export const toDuration = (text: string): Duration.Duration => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)?$/.exec(text) ?? []
  const millis = units.get(unit ?? "s")
  if (amount === undefined || millis === undefined) throw new Error("a length of time is written 60s, 5m or 1h")
  return Duration.millis(Number(amount) * millis)
}

/** Shared with what delivers a run besides. */
export const TimeoutFlag = Flag.String("timeout").pipe(
  Flag.withMetavar("TIME"),
  Flag.withDescription(
    "Longest time to spend: 60s, 5m, 1h; default 60s. What is left then is kept, and exit code 3 says so"
  ),
  Flag.withDefault("60s"),
  Flag.mapTryCatch(toDuration, (cause) => (cause instanceof Error ? cause.message : String(cause)))
)

const flags = {
  run: Argument.String("RUN").pipe(
    Argument.withDescription(
      "Only this run: an id, a unique prefix of one, a name (the newest), or project/name; or a .tracelet folder"
    ),
    Argument.optional
  ),
  timeout: TimeoutFlag,
  takeOver: Flag.Boolean("take-over").pipe(
    Flag.withoutNegation,
    Flag.withDescription(
      "On a network file system: deliver from this host also what other hosts log or deliver; they stop when they see it"
    ),
    Flag.withDefault(false)
  ),
  watch: Flag.Boolean("watch").pipe(
    Flag.withoutNegation,
    Flag.withDescription("Go on until interrupted: deliver what is logged meanwhile, and new runs"),
    Flag.withDefault(false)
  )
}

/** What a trainer prints names the folder: `tracelet sync /data/.tracelet`. A bare name is always a run's. */
const isFolder = (path: string, text: string): boolean =>
  (text.includes(sep) || text === ".tracelet") && existsSync(join(path, "runs"))

/** How long a watch rests between two rounds. */
const watchEvery = Duration.seconds(2)

/** How often the line on a terminal changes. */
const progressEvery = Duration.millis(200)

export const command = Command.make("sync", flags, ({ run: argument, timeout, takeOver, watch }) =>
  Effect.gen(function* () {
    const { cwd, env } = yield* Session
    const odd = Settings.archiveProblem(env)
    if (odd !== undefined) yield* Frame.note(`${odd}.`)
    const folder = Option.getOrUndefined(Option.filter(argument, (text) => isFolder(resolve(cwd, text), text)))
    const query = folder === undefined ? argument : Option.none()
    const work = watch ? follow(query, timeout, takeOver) : deliver(query, timeout, takeOver)
    return yield* Frame.inWorkspace(Frame.readingJournals(work), folder)
  })
).pipe(
  Command.withDescription("Deliver now what is pending. Exit code 0 when nothing is left, 3 when something is."),
  Command.withShortDescription("Deliver now what is pending"),
  Command.withExamples([
    { command: "tracelet sync", description: "All runs of this folder" },
    { command: "tracelet sync baseline --timeout 5m", description: "One run, for up to five minutes" },
    {
      command: "tracelet sync /net/runs/.tracelet --take-over --watch",
      description: "On a login node, for compute nodes"
    },
    { command: "tracelet sync --json || echo 'something is left'" }
  ])
)

/** One round: delivers until nothing more happens by itself. */
const round = (query: Option.Option<string>, timeout: Duration.Duration, takesOver: (run: string) => boolean) =>
  Effect.gen(function* () {
    const { dir } = yield* Place
    const known = yield* Lookup.known
    const wanted = Option.isNone(query) ? undefined : (yield* Frame.find([query.value], known))[0]
    const agent = yield* Agents.find(dir)
    const swept = wanted === undefined ? yield* EmptyRuns.sweep : 0
    if (swept > 0) yield* Frame.note(`Removed ${Format.plural(swept, "folder")} of runs that never began.`)
    const session = yield* Session
    const progress = new SyncRuns.Progress()
    const line = yield* Effect.forkChild(showProgress(progress, session))
    const isArchiving = Settings.isArchiving(session.env)
    const { results, unread } = yield* SyncRuns.sync({
      known,
      wanted,
      agent,
      timeout,
      progress,
      isArchiving,
      takesOver
    })
    yield* Fiber.interrupt(line)
    const answer: Output.Sync = {
      drained: unread.size === 0 && results.every(({ drained }) => drained),
      backends: Report.sums(results),
      runs: results,
      ...(unread.size === 0 ? {} : { unread: Array.from(unread, ([run, reason]) => ({ id: run, reason })) })
    }
    return answer
  })

const print = (answer: Output.Sync) =>
  Effect.gen(function* () {
    if (yield* Frame.AsJson) yield* Frame.printJson(answer)
    else yield* Frame.printLines(page(answer, yield* Session))
  })

const deliver = (query: Option.Option<string>, timeout: Duration.Duration, takeOver: boolean) =>
  Effect.gen(function* () {
    const answer = yield* round(query, timeout, () => takeOver)
    yield* print(answer)
    if (!answer.drained) return yield* new Unfinished({ exitCode: 3 })
  })

/** Rounds without end; what has changed since the one before is printed. A run that another host takes from this one is left to it. */
const follow = (query: Option.Option<string>, timeout: Duration.Duration, takeOver: boolean) =>
  Effect.gen(function* () {
    const taken = new Set<string>()
    let last = ""
    for (;;) {
      const answer = yield* Effect.scoped(round(query, timeout, (run) => takeOver && !taken.has(run)))
      answer.runs.forEach(({ id }) => taken.add(id))
      const text = JSON.stringify(answer)
      if (text !== last && answer.runs.length + (answer.unread ?? []).length > 0) yield* print(answer)
      last = text
      yield* Effect.sleep(watchEvery)
    }
  })

const showProgress = (progress: SyncRuns.Progress, session: Session["Service"]): Effect.Effect<void> => {
  if (!session.isErrTerminal) return Effect.never
  const clear = "\r\u001b[2K"
  const draw = Effect.suspend(() => {
    const sums = Object.entries(Report.sums([...progress.backendsByRun.values()].map((backends) => ({ backends }))))
    const parts = sums.map(
      ([name, sum]) => `${name} ${Format.count(sum.delivered)} delivered, ${Format.count(sum.pending)} to go`
    )
    return session.err(clear + parts.join("; "))
  })
  return draw.pipe(Effect.andThen(Effect.sleep(progressEvery)), Effect.forever, Effect.ensuring(session.err(clear)))
}

const page = ({ backends, runs, unread = [] }: Output.Sync, session: Session["Service"]): ReadonlyArray<string> => {
  const unknown = Lookup.unreadLine(new Map(unread.map(({ id, reason }) => [id, reason]))).map(
    (line) => `What is left of it is not known: ${Text.printable(Failure.sentence(line))}`
  )
  if (runs.length === 0) return unknown.length === 0 ? ["Nothing was to deliver."] : unknown
  const left = runs.filter((run) => !run.drained)
  const sentence =
    left.length === 0
      ? `All of ${Format.plural(runs.length, "run")} is delivered.`
      : `Something of ${Format.plural(left.length, "run")} is left, and kept in the journals: run \`tracelet sync\` again when nothing stands in the way.`
  return [...backendsTable(backends, session), "", sentence, ...unknown]
}
