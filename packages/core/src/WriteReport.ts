/**
 * How a write went, event by event. What is neither rejected nor to be retried was accepted: it is kept by the service, and the cursor
 * may pass it.
 */

/** `event` counts in `Batch.events`, `index` within a batch of points (0 for the rest). */
export interface Rejected {
  readonly event: number
  readonly index: number
  readonly reason: string
}

export interface WriteReport {
  /** Refused for good: these go to the dead letter. */
  readonly rejected: ReadonlyArray<Rejected>
  /**
   * The first event that was not taken and should be sent again later, with everything behind it; `undefined` when there is none.
   * Order is kept, so a partial success is always a prefix.
   */
  readonly retryFrom: { readonly event: number; readonly index: number } | undefined
}

/** Everything was accepted. */
export const accepted: WriteReport = { rejected: [], retryFrom: undefined }
