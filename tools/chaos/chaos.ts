/**
 * Plays scenarios round by round, and gives an account of each: what was acknowledged, what is in the store, and what is amiss.
 *
 * All rounds of a scenario share one folder: so its agent serves them all, is found rather than started in most rounds, has many dead
 * runs to look after, and delivers into a store that grows. A folder per round would test starting an agent fifty times.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Agent from "../folder/agent.ts"
import * as Stored from "../folder/stored.ts"
import { ofScenario } from "./random.ts"
import type { Outcome, Scenario } from "./scenario.ts"
import { scenario as agent } from "./scenarios/agent.ts"
import { scenario as agents } from "./scenarios/agents.ts"
import { scenario as app } from "./scenarios/app.ts"
import { scenario as both } from "./scenarios/both.ts"
import { scenario as namespace } from "./scenarios/namespace.ts"
import { scenario as older } from "./scenarios/older.ts"
import { scenario as runs } from "./scenarios/runs.ts"
import { scenario as steps } from "./scenarios/steps.ts"
import { scenario as stopped } from "./scenarios/stopped.ts"
import { scenario as together } from "./scenarios/together.ts"
import { scenario as trainer } from "./scenarios/trainer.ts"
import { scenario as writers } from "./scenarios/writers.ts"

export const scenarios: ReadonlyArray<Scenario> = [
  trainer,
  agent,
  both,
  steps,
  agents,
  older,
  app,
  together,
  stopped,
  namespace,
  writers,
  runs
]

export interface Options {
  readonly scenario: Scenario
  readonly count: number
  readonly seed: number
  readonly python: string
  /** Whether the folder stays when nothing was found, too. */
  readonly keep: boolean
  /** Called after each round. */
  readonly onRound: (round: Round) => void
}

export interface Round extends Outcome {
  /** From 1. */
  readonly number: number
  readonly ms: number
}

export interface Report {
  readonly rounds: ReadonlyArray<Round>
  /** Gone, unless something was found or it was to be kept. */
  readonly folder: string
}

const nothing = { acknowledged: 0, stored: 0, statuses: [] }

/** A round that fails, or does not end, is a finding like any other. */
const guarded = <R>(scenario: Scenario, round: Effect.Effect<Outcome, unknown, R>): Effect.Effect<Outcome, never, R> =>
  round.pipe(
    Effect.timeoutOption(scenario.msMax),
    Effect.map((outcome): Outcome =>
      outcome._tag === "Some"
        ? outcome.value
        : {
            ...nothing,
            what: "not over",
            findings: [{ _tag: "hang", detail: `the round was not over after ${scenario.msMax / 1000} s` }]
          }
    ),
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.succeed<Outcome>({
            ...nothing,
            what: "broken off",
            findings: [{ _tag: "amiss", detail: Cause.pretty(cause) }]
          })
    )
  )

/** All rounds of one scenario. */
export const play = (options: Options): Effect.Effect<Report, unknown> =>
  Effect.suspend(() => {
    const { count, keep, onRound, python, scenario, seed } = options
    const workFolder = mkdtempSync(join(tmpdir(), `tracelet-chaos-${scenario.name}-`))
    const folder = join(workFolder, ".tracelet")
    mkdirSync(folder)
    const random = ofScenario(seed, scenario.name)
    const ground = { python, folder, workFolder, random }
    return Effect.forEach(
      Array.from({ length: count }, (_, i) => i + 1),
      (number) =>
        Effect.gen(function* () {
          const began = performance.now()
          const outcome = yield* guarded(scenario, Effect.scoped(scenario.round({ ...ground, number })))
          const round = { ...outcome, number, ms: performance.now() - began }
          onRound(round)
          return round
        })
    ).pipe(
      Effect.ensuring(Agent.stop(folder)),
      Effect.provide(Stored.layer(folder)),
      Effect.tap((rounds) =>
        Effect.sync(() => {
          if (!keep && rounds.every(({ findings }) => findings.length === 0)) rmSync(workFolder, { recursive: true })
        })
      ),
      Effect.map((rounds) => ({ rounds, folder }))
    )
  })

/** How many of `count` rounds each scenario gets: by its share, and one at least. */
export const portions = (of: ReadonlyArray<Scenario>, count: number): ReadonlyMap<Scenario, number> => {
  const whole = of.reduce((sum, { share }) => sum + share, 0)
  const rounds = of.map((scenario) => Math.max(1, Math.floor((count * scenario.share) / whole)))
  // What is left over by rounding is the first one's.
  const left = Math.max(0, count - rounds.reduce((sum, n) => sum + n, 0))
  return new Map(of.map((scenario, i) => [scenario, (rounds[i] ?? 1) + (i === 0 ? left : 0)]))
}
