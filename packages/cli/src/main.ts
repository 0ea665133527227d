/**
 * The entry of the command: this process as a session, and its exit code. `tools/bundle.ts` makes one file of it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { run } from "./Cli.ts"
import { fromProcess } from "./ProcessSession.ts"
import { Session } from "./Session.ts"

const fiber = Effect.runFork(Effect.provideService(run(process.argv.slice(2)), Session, fromProcess(process)))

/** As shells say it: 128 and the signal's number. */
const exitCodeBySignal = { SIGINT: 130, SIGTERM: 143 } as const

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    process.exitCode = exitCodeBySignal[signal]
    Effect.runFork(Fiber.interrupt(fiber))
  })
}

fiber.addObserver((exit) => {
  if (Exit.isSuccess(exit)) process.exitCode = exit.value
  else process.exitCode ??= 1
})
