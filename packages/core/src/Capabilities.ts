/**
 * What a backend can hold and how it identifies what it has: read by `Delivery` to cut batches, by the contract suite to know what must
 * work, and by the generated capability matrix.
 */
import type { Kind } from "./RunEvent.ts"

export interface Capabilities {
  /** Kinds it takes. Others are never handed to it and count as filtered. */
  readonly kinds: ReadonlySet<Kind>
  /**
   * How the service tells a resend from something new:
   * - `position`: the backend keeps the marks in the transaction that keeps the data (`BackendRun.confirmed`).
   * - `point`: by key, step, time or value; a resend is ignored or overwrites itself.
   * - `offset`: by an offset in the remote stream; an intent precedes each send.
   * - `none`: not at all; an intent precedes each send, and the status page says so.
   */
  readonly identity: "position" | "point" | "offset" | "none"
  /** Most of one write: points, and bytes of everything else. What is larger is cut, or dead letter when it cannot be. */
  readonly limits: { readonly points: number; readonly bytes: number }
  /** Values it holds as they are; others are rejected or degraded, as `degradations` says. */
  readonly values: { readonly nan: boolean; readonly infinity: boolean; readonly negativeZero: boolean }
  readonly steps: { readonly negative: boolean; readonly repeated: boolean; readonly late: boolean }
  /** Sentences for the user: what arrives in another shape than it was logged. */
  readonly degradations: ReadonlyArray<string>
}
