/**
 * Kills trainers at random moments and looks whether the store has what they had been told is safe.
 *
 * All rounds share one folder: so its agent serves them all, is found rather than started in most rounds, has many dead
 * runs to look after, and delivers into a store that grows. A folder per round would test starting an agent fifty times.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { RunView } from "@tracelet/bridge-python/AgentApi"
import * as Effect from "effect/Effect"
import * as Agent from "../folder/agent.ts"
import * as Stored from "../folder/stored.ts"
import * as Expected from "./expected.ts"
import { moments, type Moment } from "./moments.ts"
import { runAndKill, type Death } from "./trainer.ts"

export interface Options {
  readonly count: number
  readonly seed: number
  readonly python: string
  /** Whether the folder stays when nothing was found, too. */
  readonly keep: boolean
  /** Called after each round. */
  readonly onRound: (round: Round) => void
}

export interface Round {
  /** From 1. */
  readonly number: number
  readonly moment: Moment
  readonly acknowledged: number
  readonly stored: number
  /** `undefined`: it died before it had a run. */
  readonly status: string | undefined
  readonly findings: ReadonlyArray<Expected.Finding>
}

export interface Report {
  readonly rounds: ReadonlyArray<Round>
  /** Gone, unless something was found or it was to be kept. */
  readonly folder: string
}

/** Longest wait for a dead run to be delivered and ended. */
const settleMsMax = 20_000

const runsOf = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(join(folder, "runs"))
  } catch {
    return []
  }
}

const judge = (view: RunView | undefined, { acknowledged }: Death, stored: number): ReadonlyArray<Expected.Finding> => {
  if (view === undefined) {
    return acknowledged === 0 ? [] : [{ _tag: "lost", detail: "the agent does not know the run" }]
  }
  const findings: Array<Expected.Finding> = []
  const local = view.backends["local"]
  const shown = JSON.stringify(view)
  if (view.status === "running" || !view.drained) findings.push({ _tag: "hang", detail: shown })
  else if (view.status !== "killed") findings.push({ _tag: "wrong status", detail: view.status })
  if (local === undefined || local.pending > 0) findings.push({ _tag: "hang", detail: shown })
  else if (local.deadLetter > 0) findings.push({ _tag: "dead letter", detail: shown })
  else if (local.delivered !== stored) {
    findings.push({ _tag: "altered", detail: `counted as delivered are ${local.delivered}, in the store ${stored}` })
  }
  return findings
}

const playRound = Effect.fnUntraced(function* (
  options: Options & { readonly folder: string; readonly workFolder: string },
  number: number,
  moment: Moment
) {
  const { folder } = options
  const before = new Set(runsOf(folder))
  const death = yield* runAndKill(options, number, moment)
  if (moment.agentMs !== undefined) {
    yield* Effect.sleep(moment.agentMs)
    yield* Agent.kill(folder)
  }
  const [run = death.run] = runsOf(folder).filter((name) => !before.has(name))
  const view =
    run === undefined
      ? undefined
      : yield* Agent.settled(folder, run, { msMax: settleMsMax, mustExist: death.acknowledged > 0 })
  const found = run === undefined ? new Map<string, Stored.Columns>() : yield* Stored.series(run)
  const stored = Stored.count(found)
  const round: Round = {
    number,
    moment,
    acknowledged: death.acknowledged,
    stored,
    status: view?.status,
    findings: [
      ...(death.hang === undefined ? [] : [{ _tag: "hang", detail: death.hang } as const]),
      ...judge(view, death, stored),
      ...Expected.compare(found, death.acknowledged)
    ]
  }
  options.onRound(round)
  return round
})

export const play = (options: Options): Effect.Effect<Report, unknown> =>
  Effect.suspend(() => {
    const workFolder = mkdtempSync(join(tmpdir(), "tracelet-chaos-"))
    const folder = join(workFolder, ".tracelet")
    mkdirSync(folder)
    return Effect.forEach(moments(options.count, options.seed), (moment, i) =>
      playRound({ ...options, folder, workFolder }, i + 1, moment)
    ).pipe(
      Effect.ensuring(Agent.stop(folder)),
      Effect.provide(Stored.layer(folder)),
      Effect.tap((rounds) =>
        Effect.sync(() => {
          if (!options.keep && rounds.every(({ findings }) => findings.length === 0))
            rmSync(workFolder, { recursive: true })
        })
      ),
      Effect.map((rounds) => ({ rounds, folder }))
    )
  })
