/**
 * Another Node process for `locks.test.ts`: `lockProcess.ts PATH`. Each line on stdin is a command, each line on stdout its answer.
 */
import { JournalStorage } from "@tracelet/core/JournalStorage"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { cpSync } from "node:fs"
import { dirname } from "node:path"
import { createInterface } from "node:readline/promises"

const path = process.argv[2] ?? ""

const program = Effect.gen(function* () {
  const storage = yield* JournalStorage
  const answer = Effect.fnUntraced(function* (command: string) {
    switch (command) {
      case "lock":
        return yield* storage.lock(path)
      case "probe":
        return yield* storage.probe(path)
      case "probe for a while": {
        const counts = { free: 0, held: 0, unknown: 0 }
        const until = performance.now() + 500
        while (performance.now() < until) counts[yield* storage.probe(path)]++
        return `free ${counts.free} held ${counts.held} unknown ${counts.unknown}`
      }
      // As a prober does that is not given the processor.
      case "hold for 20 ms": {
        const scope = yield* Scope.make()
        const taken = yield* Scope.provide(storage.lock(path), scope)
        setTimeout(() => Effect.runFork(Scope.close(scope, Exit.void)), 20)
        return taken
      }
      case "copy":
        cpSync(dirname(path), `${dirname(path)}-copy`, { recursive: true })
        return "copied"
      default:
        return "what?"
    }
  })
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  for (;;) {
    const line = yield* Effect.promise(() => lines.next())
    if (line.done === true) return
    console.log(yield* answer(line.value))
  }
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(NodePlatform.layer)))
