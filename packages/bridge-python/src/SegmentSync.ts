/**
 * Makes what Python writers have written safe from a power cut once a second (journal.md J9.4): the writers themselves only sync when a
 * user says `flush`, since it takes milliseconds and stops the thread that asks.
 *
 * Which segments changed is told by their modification times. A store to mapped memory changes it only when the page was clean, which is
 * what each `fdatasync` leaves behind.
 */
import type { Writer } from "@tracelet/core/RunJournal"
import * as Effect from "effect/Effect"
import { close, fdatasync, fsync, open, statSync } from "node:fs"
import { join } from "node:path"

/** A writer fills one segment, and may still have dirty pages in the one before. */
const segmentsMax = 2

/** Modification times move in ticks: of a file that just changed they do not tell whether it changes again. */
const tickMs = 50

export class SegmentSync {
  private readonly folder: string
  private readonly changedAtByPath = new Map<string, number>()
  private paths = new Set<string>()

  /** @param folder - of the run's journal */
  constructor(folder: string) {
    this.folder = folder
  }

  /** Returns when all that these writers had written is on the disk. A file that cannot be synced is tried again the next time. */
  sync(writers: ReadonlyArray<Writer>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const paths = writers.flatMap(({ id, segments }) =>
        segments.slice(-segmentsMax).map((number) => join(this.folder, `${id}.${number}.tlj`))
      )
      if (paths.some((path) => !this.paths.has(path))) yield* syncFile(this.folder, fsync)
      this.paths = new Set(paths)
      for (const path of this.changedAtByPath.keys()) if (!this.paths.has(path)) this.changedAtByPath.delete(path)
      for (const path of paths) {
        const changedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs
        if (changedAt === undefined || changedAt === this.changedAtByPath.get(path)) continue
        const isOld = Date.now() - changedAt > tickMs
        if ((yield* syncFile(path, fdatasync)) && isOld) this.changedAtByPath.set(path, changedAt)
      }
    })
  }
}

/** In the thread pool: it may wait for the disk. */
const syncFile = (path: string, call: typeof fsync): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    open(path, "r", (notOpened, descriptor) => {
      if (notOpened !== null) return resume(Effect.succeed(false))
      call(descriptor, (notSynced) => close(descriptor, () => resume(Effect.succeed(notSynced === null))))
    })
  })
