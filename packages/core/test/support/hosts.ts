/**
 * Hosts that share a folder on a network file system, and see none of each other's locks: one memory of files under storages that each have
 * locks, a name and a boot of their own.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Journal from "../../src/Journal.ts"
import { JournalStorage } from "../../src/JournalStorage.ts"
import type { Memory } from "../../src/internal/memoryStorage.ts"

/** A host, and what stops it: with its gate closed no operation of it goes on. `latency` comes before what it appends. */
export const makeHost = (memory: Memory, name: string, latency: Effect.Effect<void> = Effect.void) => {
  const locks = new Set<string>()
  const gate = Latch.makeUnsafe(true)
  const { storage } = memory
  const gated = <A, E, R>(operation: Effect.Effect<A, E, R>) => Effect.andThen(gate.await, operation)
  const onItsWay = <A, E>(operation: Effect.Effect<A, E>) => Effect.andThen(latency, gated(operation))
  const own = JournalStorage.of({
    ...storage,
    list: (folder) => gated(storage.list(folder)),
    replace: (path, bytes, options) => gated(storage.replace(path, bytes, options)),
    openAppend: (path) =>
      Effect.map(gated(storage.openAppend(path)), (file) => ({
        append: (vectors) => onItsWay(file.append(vectors)),
        sync: gated(file.sync)
      })),
    lock: (path) =>
      Effect.acquireRelease(
        Effect.sync(() => !locks.has(path) && locks.add(path) !== undefined),
        (taken) => Effect.sync(() => taken && locks.delete(path))
      ),
    // Of another host's locks nothing is seen, and they look free.
    probe: (path) => Effect.sync(() => (locks.has(path) ? "held" : "free")),
    host: { name, boot: `boot of ${name}`, pid: 1 },
    isLocal: () => Effect.succeed(false)
  })
  const layer = Journal.layerFile({ dir: "d" }).pipe(Layer.provide(Layer.succeed(JournalStorage, own)))
  return { name, gate, layer, gated }
}
export type Host = ReturnType<typeof makeHost>
