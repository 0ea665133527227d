/**
 * `tracelet status`: the folder at a glance, and what is on its way to which backend.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Agents from "../Agents.ts"
import * as Format from "../Format.ts"
import * as Frame from "../Frame.ts"
import * as Losses from "../Losses.ts"
import type * as Output from "../Output.ts"
import * as Report from "../Report.ts"
import { marks, Session } from "../Session.ts"
import * as Table from "../Table.ts"
import * as Text from "../Text.ts"
import { Place } from "../Workspace.ts"

export const command = Command.make("status", {}, () =>
  Frame.inWorkspace(
    Frame.readingJournals(
      Effect.gen(function* () {
        const { dir } = yield* Place
        const current = yield* Frame.current()
        const reports = yield* Frame.reports(current)
        const found = current.agent
        const status: Output.FolderStatus = {
          dir,
          runs: reports.length,
          running: reports.filter((run) => run.status === "running").length,
          agent: Agents.toOutput(found),
          backends: Report.sums(reports)
        }
        if (yield* Frame.AsJson) return yield* Frame.printJson(status)
        const now = (yield* Clock.currentTimeMillis) / 1000
        return yield* Frame.printLines(page(status, reports, found, now, yield* Session))
      })
    )
  )
).pipe(
  Command.withDescription("Say what the folder holds, whether an agent is running, and what is still on its way."),
  Command.withShortDescription("What is on its way, and who delivers it"),
  Command.withExamples([
    { command: "tracelet status" },
    { command: "tracelet status --json --dir /data/.tracelet", description: "For a program, of another folder" }
  ])
)

const page = (
  status: Output.FolderStatus,
  reports: ReadonlyArray<Report.Report>,
  found: Agents.Found,
  now: number,
  session: Session["Service"]
): ReadonlyArray<string> => {
  const { paint } = session
  const running = status.running === 0 ? "" : `, ${Format.count(status.running)} of them running`
  const lines = [
    `${paint.bold(Text.printable(status.dir))}: ${Format.plural(status.runs, "run")}${running}.`,
    `${capital(Agents.sentence(found, now))}.`
  ]
  const backends = Object.entries(status.backends)
  if (backends.length === 0) return lines
  return [...lines, "", ...backendsTable(status.backends, session), "", verdict(reports)]
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** One row a backend; what stands in its way below it. Shared with `sync`. */
export const backendsTable = (
  backends: Output.FolderStatus["backends"],
  session: Session["Service"]
): ReadonlyArray<string> => {
  const { good, warning, bad } = marks(session)
  const columns: ReadonlyArray<Table.Column> = [
    { title: "", align: "left" },
    { title: "backend", align: "left" },
    { title: "delivered", align: "right" },
    { title: "to go", align: "right" },
    { title: "refused", align: "right" },
    { title: "runs with something to go", align: "right" }
  ]
  const rows = Object.entries(backends).map(([name, sum]) => [
    sum.reasons.length > 0 ? bad : sum.pending > 0 || sum.deadLetter > 0 || sum.losses !== undefined ? warning : good,
    name,
    Format.count(sum.delivered),
    Format.count(sum.pending),
    Format.count(sum.deadLetter),
    Format.count(sum.runs)
  ])
  const table = Table.render(columns, rows, Table.on(session))
  const reasons = Object.entries(backends).flatMap(([name, sum]) =>
    [...sum.reasons, ...(sum.losses === undefined ? [] : [Losses.sentence(sum.losses)])].map(
      (reason) => `${name}: ${Text.printable(reason)}`
    )
  )
  return reasons.length === 0 ? table : [...table, "", ...reasons]
}

const verdict = (reports: ReadonlyArray<Report.Report>): string => {
  const backends = reports.flatMap((report) => Object.values(report.backends))
  const sum = (some: ReadonlyArray<Output.Backend>) => some.reduce((all, { pending }) => all + pending, 0)
  const pending = sum(backends)
  const stuck = sum(backends.filter(({ state }) => state === "missing" || state === "error"))
  if (pending === 0) return "Nothing is on its way."
  const toGo = `${Format.plural(pending, "event")} still to go`
  if (stuck === 0) return `${toGo}; \`tracelet sync\` delivers them now.`
  const help = "when what is said above is put right, or where the plugin is installed"
  return stuck === pending
    ? `${toGo}, and none of them can from here: \`tracelet sync\` delivers them ${help}.`
    : `${toGo}; \`tracelet sync\` delivers ${Format.count(pending - stuck)} of them now, the others ${help}.`
}
