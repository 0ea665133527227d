import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { Backend, openAlone, type Batch } from "../src/Backend.ts"
import { BackendError, held, Unauthorised } from "../src/BackendError.ts"
import * as Redaction from "../src/Redaction.ts"
import { RunId } from "../src/Run.ts"
import { runStarted } from "../src/RunEvent.ts"
import * as Recording from "./support/RecordingBackend.ts"

const secret = "geheim/1"
const started = runStarted(RunId.make("r1"), { time: 1 })
const batch: Batch = {
  writer: "w",
  from: { position: 0, index: 0 },
  to: { position: 8, index: 0 },
  events: [],
  filtered: 0,
  rejected: 0
}

const refusal = new BackendError({
  backend: "service",
  message: `It answered: no ${secret} for /${encodeURIComponent(secret)}`,
  reason: new Unauthorised(),
  cause: new Error(secret)
})

const guarded = (
  write: Effect.Effect<
    {
      readonly rejected: ReadonlyArray<{ event: number; index: number; reason: string }>
      readonly retryFrom: undefined
    },
    BackendError
  >
) =>
  Redaction.guard(
    Backend.of({
      ...Recording.make().backend,
      open: () =>
        Effect.succeed({ remote: null, confirmed: undefined, write: () => write, close: () => Effect.fail(refusal) })
    }),
    [secret]
  )

describe("a backend whose service repeats what it was sent", () => {
  it.effect("fails without the secret in any form, and keeps the reason", () =>
    Effect.gen(function* () {
      const run = yield* guarded(Effect.fail(refusal)).open(openAlone(started))
      for (const call of [run.write(batch), run.close({ status: "finished", endedAt: 1 })]) {
        const error = yield* Effect.flip(Effect.asVoid(call))
        assert.strictEqual(error.message, "It answered: no <redacted> for /<redacted>")
        assert.strictEqual(error.reason._tag, "Unauthorised")
        assert.notProperty(error, "cause")
      }
    }).pipe(Effect.scoped)
  )

  it.effect("refuses events without it", () =>
    Effect.gen(function* () {
      const rejected = [{ event: 0, index: 0, reason: `no ${secret}` }]
      const run = yield* guarded(Effect.succeed({ rejected, retryFrom: undefined })).open(openAlone(started))
      assert.deepStrictEqual((yield* run.write(batch)).rejected, [{ event: 0, index: 0, reason: "no <redacted>" }])
    }).pipe(Effect.scoped)
  )

  it.effect("fails as ever where there is nothing to hide", () =>
    Effect.gen(function* () {
      const error = held("service", "The run is gone.", new Error("404"))
      const run = yield* guarded(Effect.fail(error)).open(openAlone(started))
      assert.strictEqual(yield* Effect.flip(run.write(batch)), error)
    }).pipe(Effect.scoped)
  )
})

it("Redaction replaces the longer of two secrets first, and leaves what is too short to be one.", () => {
  assert.strictEqual(Redaction.of(["abcd", "abcdef", "1"])("abcdef abcd 1"), "<redacted> <redacted> 1")
})
