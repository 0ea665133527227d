/**
 * The secrets that trainers handed over, in memory only, by run and backend. They are for building backends; everything that leaves the
 * agent as text goes through `redact`, in case a service's answer or a bug repeats one.
 */
import * as Redaction from "@tracelet/core/Redaction"

/** By the backend's name in the run, then by the key of its config. */
export type RunSecrets = ReadonlyMap<string, { readonly [key: string]: string }>

export class Secrets {
  private readonly byRun = new Map<string, RunSecrets>()

  of(run: string): RunSecrets | undefined {
    return this.byRun.get(run)
  }

  /** Adds to those known of the run; true when that changes any. */
  add(run: string, given: { readonly [backend: string]: { readonly [key: string]: string } }): boolean {
    const known = this.byRun.get(run)
    const merged = new Map(known)
    let isNew = false
    for (const [backend, values] of Object.entries(given)) {
      const before = merged.get(backend)
      for (const [key, value] of Object.entries(values)) if (before?.[key] !== value) isNew = true
      merged.set(backend, { ...before, ...values })
    }
    if (isNew) this.byRun.set(run, merged)
    return isNew
  }

  forget(run: string): void {
    this.byRun.delete(run)
  }

  /** The text with each secret replaced. */
  redact(text: string): string {
    const all = [...this.byRun.values()].flatMap((secrets) => [...secrets.values()].flatMap(Object.values<string>))
    return Redaction.of(all)(text)
  }
}
