/** Runs that are written, archived and read again, as every test of archives does it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Cursor from "../../src/Cursor.ts"
import type { JournalStorage } from "../../src/JournalStorage.ts"
import type { Payload } from "../../src/RunEvent.ts"
import { RunJournal } from "../../src/RunJournal.ts"
import { GroupWriter } from "../../src/internal/groupWriter.ts"
import { Chunk } from "../../src/internal/writerTail.ts"
import * as Histories from "./histories.ts"

export const folder = `memory/runs/${Histories.run}`
export const journal = `${folder}/journal`

export type Storage = JournalStorage["Service"]

export const open = (storage: Storage) =>
  Effect.map(
    Effect.scope,
    (scope: Scope.Scope) =>
      new RunJournal(
        { storage, runFolder: () => folder, chunk: new Chunk(), reading: Semaphore.makeUnsafe(1) },
        Histories.run,
        scope
      )
  )

/** All that a reader finds from some marks on, by a run that is opened for it. */
export const read = (storage: Storage, marks: Cursor.Marks = new Map(), points = 500) =>
  Effect.scoped(
    Effect.gen(function* () {
      const run = yield* open(storage)
      const writers = yield* run.writersNow
      const reader = yield* run.reader(marks, { points, bytes: 10_000 })
      const said: Array<string> = []
      const stops: Array<readonly [string, Cursor.Mark]> = []
      for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
        said.push(...Histories.describe(batch.events))
        stops.push([batch.writer, batch.to])
      }
      return {
        said,
        stops,
        losses: reader.losses(),
        isDrained: reader.isDrained(),
        writers: writers.map(({ id, role, life, segments, identity }) => ({ id, role, life, segments, identity })),
        standing: yield* run.standing(writers)
      }
    })
  )

/** Names in the journal's folder. */
export const names = (storage: Storage) => Effect.map(storage.list(journal), (all) => all.toSorted())

export const archived = (storage: Storage) => Effect.scoped(Effect.flatMap(open(storage), (run) => run.archive))

/** A writer's journal, whole and synced. */
export const write = (
  storage: Storage,
  writer: string,
  events: ReadonlyArray<Payload>,
  points: number,
  role: "primary" | "observer" = "primary"
) =>
  Effect.gen(function* () {
    yield* storage.makeFolder(journal)
    const group = new GroupWriter({
      storage,
      runFolder: folder,
      role,
      identity: { run: Histories.run, writer, host: "h", boot: "boot", pid: 1 },
      segmentLength: 3_000,
      salt: () => 77,
      open: (path) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const file = yield* Effect.provideService(storage.openAppend(path), Scope.Scope, scope)
          return { ...file, close: Scope.close(scope, Exit.void) }
        })
    })
    for (const event of events.slice(0, 1)) group.event(event)
    const series = group.define("loss", {})
    for (let i = 0; i < points; i++) {
      group.point(series, i, i / 7, 1e9 + i)
      if (i % 50 === 0) yield* group.commit
    }
    for (const event of events.slice(1)) group.event(event)
    yield* group.commit
    yield* group.sync
  })
