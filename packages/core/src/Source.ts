/**
 * The contract of a source: a Stream of samples of one run, taken by a collector of what surrounds it. The host writes them into the journal of an
 * observer beside the run, and lanes read that like any other writer.
 *
 * Laws:
 * 1. A sample is taken at the moment it is emitted: its time is the host's.
 * 2. It keeps nothing it has emitted, and needs no state to begin again.
 * 3. It ends, or is interrupted, with its run; what it acquires is released by its scope.
 */
import * as Context from "effect/Context"
import type * as Stream from "effect/Stream"
import type { SeriesContext } from "./SeriesContext.ts"

/** What a collector samples at one moment: values by series name, in one context. */
export interface Sample {
  readonly values: ReadonlyMap<string, number>
  readonly context: SeriesContext
}

/** Samples that go into the journal of an observer, beside the run they belong to. */
export class Source extends Context.Service<
  Source,
  {
    readonly id: string
    readonly samples: Stream.Stream<Sample>
  }
>()("@tracelet/core/Source") {}
