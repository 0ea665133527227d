/** What a scenario is: one way in which processes die, stop or meet, played as often as asked, each round with an account of its own. */
import type { LocalReader } from "@tracelet/backend-local/LocalReader"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Finding } from "./expected.ts"
import type { Random } from "./random.ts"

/** What all rounds of a scenario share. */
interface Ground {
  readonly python: string
  /** The tracelet folder. */
  readonly folder: string
  /** Holds it, and what children need beside it. */
  readonly workFolder: string
  readonly random: Random
}

export interface Turn extends Ground {
  /** From 1. */
  readonly number: number
}

export interface Outcome {
  /** Points that somebody was told are safe. */
  readonly acknowledged: number
  /** Points in the store. */
  readonly stored: number
  /** Of the runs, each once. */
  readonly statuses: ReadonlyArray<string>
  /** What happened, in a few words. */
  readonly what: string
  readonly findings: ReadonlyArray<Finding>
}

export interface Scenario {
  readonly name: string
  readonly about: string
  /** Its part of the rounds when all scenarios are played, beside the others' parts. */
  readonly share: number
  /** Rounds that the tests play. */
  readonly dose: number
  /** A round that takes longer hangs. */
  readonly msMax: number
  /** Why it cannot be played here. */
  readonly skip?: () => string | undefined
  /** What was started in the scope is killed at its end. */
  readonly round: (turn: Turn) => Effect.Effect<Outcome, unknown, Scope.Scope | LocalReader>
}
