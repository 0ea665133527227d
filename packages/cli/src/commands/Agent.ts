/**
 * `tracelet agent status`: whether the process that delivers what Python trainers journalled is running for this folder.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Agents from "../Agents.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import { Session } from "../Session.ts"
import * as Table from "../Table.ts"
import * as Text from "../Text.ts"
import { Place } from "../Workspace.ts"
import { remarks } from "./Runs.ts"

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
          `${Format.count(backend.delivered)} delivered`,
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
      const table = Table.render(columns, rows, { paint: session.paint, width: session.columns ?? Infinity })
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

export const command = Command.make("agent").pipe(
  Command.withDescription("The process that delivers what Python trainers journalled; they start it themselves."),
  Command.withShortDescription("The process that delivers for Python"),
  Command.withExamples([{ command: "tracelet agent status" }]),
  Command.withSubcommands([status])
)
