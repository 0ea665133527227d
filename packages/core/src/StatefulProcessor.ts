/**
 * The contract of a stateful processor: a fold over points that remembers something between batches (a mean over ranks waits for the last
 * of them). The host writes what it gives into a derived journal of the run, and lanes read that like any writer (`Derivation`).
 *
 * Laws:
 * 1. Pure in what can be seen: the same state (as its Schema writes it) and the same inputs give the same outputs and the same state. No
 *    clock, no chance. The state is the step's own: it may be changed in place and handed back.
 * 2. Cutting changes nothing: a batch of points gives what its parts give one after another.
 * 3. The state is bounded, for it is written with each commit: what no longer fits is given out, never forgotten.
 * 4. With `Ended` everything held is given out, and the state is as at the beginning: a writer that comes late begins anew.
 * 5. It takes points in as they were captured, before pure processors, and never what another stateful processor gave.
 */
import * as Context from "effect/Context"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Json, JsonObject } from "./JsonObject.ts"
import type { PointBatch } from "./RunEvent.ts"
import type { Series } from "./Series.ts"
import type { SeriesContext } from "./SeriesContext.ts"

/**
 * What a step takes in.
 * - `Points`: of one writer, in its order, and only such as the processor takes.
 * - `WriterEnded`: that writer gives no more; it comes directly behind its last point. Only where the scope is the run.
 * - `Ended`: no writer there is now gives any more.
 */
export type Input =
  | { readonly _tag: "Points"; readonly writer: string; readonly points: PointBatch }
  | { readonly _tag: "WriterEnded"; readonly writer: string }
  | { readonly _tag: "Ended" }

/** A point that was derived. */
export interface Output {
  readonly name: string
  readonly context: SeriesContext
  readonly step: number
  readonly value: number
  /** Seconds since the Unix epoch: of a point that was taken in, never of now. */
  readonly time: number
}

/** The processor at work on one stream of inputs. */
export interface Fold {
  readonly push: (input: Input) => ReadonlyArray<Output>
  /** Its state, as `begin` takes it. */
  readonly snapshot: () => Json
}

interface Shape {
  /** Names its derived journal and tells two of one id apart: as J1.1 says. */
  readonly name: string
  /**
   * `writer`: a fold for each writer, which needs to know of no other. `run`: one fold over all writers, in an order that does not
   * depend on how they are read (journal.md J13.6).
   */
  readonly scope: "writer" | "run"
  /** Whether what it takes in reaches the lanes too (`kept`), or only what it gives (`replaced`, counted as filtered). */
  readonly captured: "kept" | "replaced"
  /** Which series' points it takes in. */
  readonly takes: (series: Series) => boolean
  /** Goes on from a snapshot, or begins; `undefined` when the snapshot is not one of its own. */
  readonly begin: (snapshot: Json | undefined) => Fold | undefined
}

export class StatefulProcessor extends Context.Service<StatefulProcessor, Shape>()(
  "@tracelet/core/StatefulProcessor"
) {}

/** One that is configured, as it is pinned. */
export interface Configured extends Shape {
  readonly id: string
  readonly version: string
  readonly config: JsonObject
}

/** A pure step over a state with a Schema, as the contract wants it. */
export const make = <State>(
  definition: Omit<Shape, "begin"> & {
    readonly state: Schema.Codec<State, Json>
    /** A new state each time: steps may change it. */
    readonly initial: () => State
    readonly step: (state: State, input: Input) => readonly [State, ReadonlyArray<Output>]
  }
): StatefulProcessor["Service"] => {
  const { state: schema, initial, step, ...shape } = definition
  const decode = Schema.decodeUnknownResult(schema)
  const encode = Schema.encodeSync(schema)
  return {
    ...shape,
    begin: (snapshot) => {
      const decoded = snapshot === undefined ? Result.succeed(initial()) : decode(snapshot)
      if (Result.isFailure(decoded)) return undefined
      let state = decoded.success
      return {
        push: (input) => {
          const [next, outputs] = step(state, input)
          state = next
          return outputs
        },
        snapshot: () => encode(state)
      }
    }
  }
}
