/**
 * The contract of a source: a Stream of `RunEvent`s of one run.
 *
 * Laws, checked by the contract suite:
 * 1. Points come only in batches, and every number in a batch is in its table.
 * 2. What it emits is captured by the host into a journal before anything is delivered; a source keeps nothing it has emitted.
 * 3. It ends, or is interrupted, with its run; acquired things are released by its scope.
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
