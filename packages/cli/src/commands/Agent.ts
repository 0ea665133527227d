/**
 * `tracelet agent status|start|stop`: the process that delivers what Python trainers journalled, of this folder. How it is started and leaves
 * is `AgentProcess`'s.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import * as Agents from "../Agents.ts"
import * as Failure from "../Failure.ts"
import { CommandError } from "../Failure.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import { Session } from "../Session.ts"
import * as Table from "../Table.ts"
import * as Text from "../Text.ts"
import { version } from "../Version.ts"
import { Place } from "../Workspace.ts"
import { remarks } from "./Runs.ts"
import { toDuration } from "./Sync.ts"

const status = Command.make("status", {}, () =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const { dir } = yield* Place
      const found = yield* Agents.find(dir)
      const answer: Output.AgentStatus = { dir, agent: Agents.toOutput(found) }
      if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
      const now = (yield* Clock.currentTimeMillis) / 1000
      const sentence = `${dir}: ${Agents.sentence(found, now)}.`
      if (found.state !== "running") return yield* Frame.printLines([sentence])
      const session = yield* Session
      const rows = found.agent.status.runs.flatMap((run) =>
        Object.entries(run.backends).map(([name, backend]) => [
          run.id.slice(0, 8),
          run.status,
          name,
          backend.state,
          `${Format.plural(backend.delivered, "event")} delivered`,
          remarks({ ...backend, state: "idle" }).join(", ")
        ])
      )
      const columns: ReadonlyArray<Table.Column> = [
        { title: "run", align: "left" },
        { title: "status", align: "left" },
        { title: "backend", align: "left" },
        { title: "state", align: "left" },
        { title: "delivered", align: "right" },
        { title: "left", align: "left" }
      ]
      const table = Table.render(columns, rows, Table.on(session))
      const reasons = Object.entries(Report.sums(found.agent.status.runs)).flatMap(([name, sum]) =>
        sum.reasons.map((reason) => `${name}: ${Text.printable(reason)}`)
      )
      const parts = [[sentence], rows.length === 0 ? [] : table, reasons].filter((lines) => lines.length > 0)
      return yield* Frame.printLines(parts.flatMap((lines, i) => (i === 0 ? lines : ["", ...lines])))
    })
  )
).pipe(
  Command.withDescription("Say whether an agent is running for this folder, and which runs it has in hand."),
  Command.withShortDescription("Whether an agent is running for this folder"),
  Command.withExamples([{ command: "tracelet agent status" }, { command: "tracelet agent status --json" }])
)

/** It needs child processes, which few commands do. */
const agentProcess = Effect.promise(() => import("../AgentProcess.ts"))

const unwell = (reason: string) =>
  new CommandError({
    tag: "AgentUnwell",
    message: `An agent is there and does not answer: ${reason}`,
    hint: "`tracelet doctor` looks at it."
  })

const startFlags = {
  idle: Flag.String("idle").pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription("How long it stays with nothing to do: 30s, 5m, 12h; default 30s"),
    Flag.withDefault("30s"),
    Flag.mapTryCatch(toDuration, (cause) => (cause instanceof Error ? cause.message : String(cause)))
  )
}

const start = Command.make("start", startFlags, ({ idle }) =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const { dir } = yield* Place
      const { env } = yield* Session
      const found = yield* Agents.find(dir)
      if (found.state === "unwell") return yield* unwell(found.reason)
      const running = found.state === "running" ? found.agent : undefined
      const ours = running?.status.tracelet === version ? running : undefined
      const { start: launch, stop: sendAway } = yield* agentProcess
      // One of another version is sent away, as a trainer does (A9).
      if (running !== undefined && ours === undefined) yield* sendAway(dir, running.client)
      const agent = ours ?? (yield* launch({ dir, idle, env }))
      const { log } = AgentAddress.files(dir)
      const isNew = ours === undefined
      const answer: Output.AgentStarted = { dir, started: isNew, log, agent: Agents.describe(agent.status) }
      if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
      const { pid } = agent.status
      const said = isNew
        ? `The agent is running (pid ${pid}), and leaves after ${Format.duration(Duration.toSeconds(idle))} with nothing to do.`
        : `An agent is running already (pid ${pid}).`
      return yield* Frame.printLines([`${said} Its log is ${log}.`])
    })
  )
).pipe(
  Command.withDescription(
    "Start the agent of this folder and wait until it answers. Does nothing when one is running. It stays while a run is running or something is undelivered."
  ),
  Command.withShortDescription("Start the agent of this folder"),
  Command.withExamples([
    { command: "tracelet agent start" },
    { command: "tracelet agent start --idle 12h", description: "Beside containers that train and end" }
  ])
)

const stop = Command.make("stop", {}, () =>
  Frame.inWorkspace(
    Effect.gen(function* () {
      const { dir } = yield* Place
      const found = yield* Agents.find(dir)
      if (found.state === "unwell") return yield* unwell(found.reason)
      if (found.state === "running") yield* (yield* agentProcess).stop(dir, found.agent.client)
      // What was asked for is done. A full disk keeps nobody from being told what is left, and what cannot be told is no failure.
      const { reason, reports } = yield* Frame.readingJournals(
        Effect.flatMap(Frame.current(), Frame.reports).pipe(Effect.map((all) => ({ reason: undefined, reports: all })))
      ).pipe(
        Effect.catch((error) =>
          found.state === "running"
            ? Effect.succeed({ reason: Failure.describe(error).message, reports: [] })
            : Effect.fail(error)
        )
      )
      const answer: Output.AgentStopped = {
        dir,
        stopped: found.state === "running",
        running: reports.filter((run) => run.status === "running").length,
        backends: Report.sums(reports),
        ...(reason === undefined ? {} : { reason })
      }
      if (yield* Frame.AsJson) return yield* Frame.printJson(answer)
      const pending = Object.entries(answer.backends).filter(([, sum]) => sum.pending > 0)
      const left = pending.map(([name, sum]) => `${Format.plural(sum.pending, "event")} for ${name}`).join(", ")
      const goOn = `${Format.plural(answer.running, "run goes", "runs go")} on. A Python process that logs starts another agent within 30 s, unless TRACELET_AGENT=off; what is logged before is kept, and delivered by it or after`
      return yield* Frame.printLines([
        found.state === "running"
          ? `The agent (pid ${found.agent.status.pid}) has left.`
          : `No agent is running for ${dir}.`,
        ...(answer.running > 0 ? [`${goOn} \`tracelet agent start\`.`] : []),
        reason !== undefined
          ? `What is undelivered is kept, and how much it is cannot be told now: ${Failure.sentence(reason)}`
          : left === ""
            ? "Nothing is undelivered."
            : `Undelivered, and kept: ${left}. \`tracelet sync\` delivers it.`
      ])
    })
  )
).pipe(
  Command.withDescription(
    "Ask the agent of this folder to leave, wait until it has, and say what is undelivered. Nothing is lost by it: runs that go on are journalled as before."
  ),
  Command.withShortDescription("Have the agent of this folder leave"),
  Command.withExamples([{ command: "tracelet agent stop" }, { command: "tracelet agent stop --json" }])
)

export const command = Command.make("agent").pipe(
  Command.withDescription("The process that delivers what Python trainers journalled; they start it themselves."),
  Command.withShortDescription("The process that delivers for Python"),
  Command.withExamples([{ command: "tracelet agent status" }, { command: "tracelet agent start --idle 12h" }]),
  Command.withSubcommands([status, start, stop])
)
