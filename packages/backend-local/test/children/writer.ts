/**
 * A process that writes batches of 500 points of two series to the store in `argv[2]`, from the confirmed mark on, until record
 * `argv[3]`; then it closes the run. It prints a line a batch. With `argv[5]` = `die` its first batch kills it within the transaction.
 */
import * as Effect from "effect/Effect"
import { Backend } from "@tracelet/core/Backend"
import { start } from "@tracelet/core/Cursor"
import { RunId } from "@tracelet/core/Run"
import type { RunEvent } from "@tracelet/core/RunEvent"
import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import { batch, openRun, params, points, positionOf, series } from "../batches.ts"

const [, , file = "", records = "0", run = "child", end = "close"] = process.argv
const [a, b] = [series("a"), series("b")]

export const record = (n: number) =>
  points(
    n,
    Array.from({ length: 500 }, (_, i) => ({
      series: i % 2 === 0 ? a : b,
      step: n * 500 + i,
      value: n * 500 + i,
      time: n
    }))
  )

/** A param and points as others, and then a param that cannot be looked at. */
function* deadly(n: number): Generator<RunEvent> {
  yield params(n, [["never", "kept"]])
  yield record(n)
  yield {
    _tag: "Params",
    time: 1,
    position: positionOf(n),
    get params(): never {
      process.kill(process.pid, "SIGKILL")
      throw new Error("survived")
    }
  }
}

const program = Effect.gen(function* () {
  const backend = yield* Backend
  const open = yield* backend.open(openRun({ id: RunId.make(run) }))
  const confirmed = yield* open.confirmed ?? Effect.die("no marks")
  const first = (confirmed.marks.get("w") ?? start).position / positionOf(1)
  const log = Array.from({ length: Math.min(Number(records), first + 2_000) }, (_, n) => record(n))
  if (end === "die") yield* open.write({ ...batch("w", log, first, first + 1), events: [...deadly(first)] })
  for (let n = first; n < log.length; n++) {
    yield* open.write(batch("w", log, n, n + 1))
    process.stdout.write(`${n}\n`)
  }
  yield* open.close({ status: "finished", endedAt: 9 })
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(LocalBackend.layer({ file }))))
