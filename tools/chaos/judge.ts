/** Has a run delivered to its end, by an agent or by `tracelet sync`, and asks what became of it. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import type { RunView } from "@tracelet/bridge-python/AgentApi"
import * as Output from "@tracelet/cli/Output"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Agent from "../folder/agent.ts"
import * as Stored from "../folder/stored.ts"
import { root } from "../setup/packages.mjs"
import * as Children from "./children.ts"
import { compare, type Finding, type Logged } from "./expected.ts"
import type { Outcome, Turn } from "./scenario.ts"

/** Longest wait for a run to be delivered and ended. */
const settleMsMax = 20_000

export type By = "agent" | "sync"

export const runsOf = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(join(folder, "runs"))
  } catch {
    return []
  }
}

type View = Pick<RunView, "status" | "drained" | "backends">

const cli = join(root, "packages", "cli", "dist", "tracelet.cjs")

/** `tracelet sync`, of all runs or of one. */
export const sync = (turn: Turn, options: { readonly run?: string; readonly timeoutMs: number }) => {
  const { run, timeoutMs } = options
  const args = [cli, "sync", ...(run === undefined ? [] : [run]), "--timeout", `${timeoutMs / 1000}s`, "--json"]
  return Children.start(process.execPath, args, { cwd: turn.workFolder, env: { TRACELET_DIR: turn.folder } })
}

const decodeSync = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Sync))

const viewBySync = (turn: Turn, run: string) =>
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* Effect.flatMap(
      sync(turn, { run, timeoutMs: settleMsMax }),
      ({ ended }) => ended
    )
    if (code !== 0 && code !== 3) return yield* Effect.die(new Error(`sync ended with ${code}: ${stdout}${stderr}`))
    const { runs } = yield* decodeSync(stdout)
    return runs.find(({ id }) => id === run)
  })

const judge = (view: View | undefined, run: Judged, stored: number): ReadonlyArray<Finding> => {
  const isSilent = run.writers.every(({ acknowledged }) => acknowledged === 0)
  if (view === undefined) return isSilent ? [] : [{ _tag: "lost", detail: `nobody knows the run ${run.id}` }]
  // It died before its first record, which names the backends.
  if (isSilent && Object.keys(view.backends).length === 0) return []
  const findings: Array<Finding> = []
  const local = view.backends["local"]
  const shown = JSON.stringify(view)
  if (view.status === "running" || !view.drained) findings.push({ _tag: "hang", detail: shown })
  else if (!run.statuses.includes(view.status)) findings.push({ _tag: "wrong status", detail: shown })
  if (local === undefined || local.pending > 0) findings.push({ _tag: "hang", detail: shown })
  else if (local.deadLetter > 0) findings.push({ _tag: "dead letter", detail: shown })
  else if (local.delivered !== stored) {
    findings.push({ _tag: "altered", detail: `counted as delivered are ${local.delivered}, in the store ${stored}` })
  }
  return findings
}

export interface Judged {
  /** `undefined`: it died before it had one. */
  readonly id: string | undefined
  readonly writers: ReadonlyArray<Logged>
  /** What its status may be. */
  readonly statuses: ReadonlyArray<string>
}

/** Waits until `run` is delivered and over, and compares the store with what was logged. */
export const judged = (turn: Turn, run: Judged, by: By, what: string) =>
  Effect.gen(function* () {
    const acknowledged = run.writers.reduce((sum, { acknowledged: count }) => sum + count, 0)
    const view: View | undefined =
      run.id === undefined
        ? undefined
        : by === "sync"
          ? yield* viewBySync(turn, run.id)
          : yield* Agent.settled(turn.folder, run.id, { msMax: settleMsMax, mustExist: acknowledged > 0 })
    const found = run.id === undefined ? new Map<string, Stored.Columns>() : yield* Stored.series(run.id)
    const stored = Stored.count(found)
    return {
      acknowledged,
      stored,
      statuses: view === undefined ? [] : [view.status],
      what,
      findings: [...judge(view, run, stored), ...compare(found, run.writers)]
    } satisfies Outcome
  })

/** One outcome of several. */
export const together = (
  outcomes: ReadonlyArray<Outcome>,
  what: string,
  findings: ReadonlyArray<Finding> = []
): Outcome => ({
  acknowledged: outcomes.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
  stored: outcomes.reduce((sum, { stored }) => sum + stored, 0),
  statuses: outcomes.flatMap(({ statuses }) => statuses),
  what,
  findings: [...findings, ...outcomes.flatMap((outcome) => outcome.findings)]
})

/** `finding`, if it is one. */
export const some = (finding: Finding | undefined): ReadonlyArray<Finding> => (finding === undefined ? [] : [finding])
