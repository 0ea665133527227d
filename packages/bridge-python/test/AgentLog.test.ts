import { assert, it } from "@effect/vitest"
import * as AgentLog from "@tracelet/bridge-python/AgentLog"
import { Secrets } from "@tracelet/bridge-python/Secrets"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { temporaryFolder } from "./temporaryFolder.ts"

describe("the agent's log", () => {
  it.effect("has at most its limit and one older file, one line an entry (A6)", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const path = join(folder, "host.log")
      const limit = 2_000
      yield* Effect.forEach(Array.from({ length: 200 }), (_, i) => Effect.logInfo(`entry ${i}\nof two lines`)).pipe(
        Effect.provide(Logger.layer([AgentLog.make(path, new Secrets(), limit)]))
      )
      assert.deepStrictEqual(readdirSync(folder).toSorted(), ["host.log", "host.log.1"])
      for (const file of [path, `${path}.1`]) {
        assert.isAtMost(statSync(file).size, limit)
        assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      }
      const last = readFileSync(path, "utf8").trimEnd().split("\n").at(-1) ?? ""
      assert.match(last, /^\d{4}-\d\d-\d\dT[\d:.]+Z Info entry 199 \| of two lines$/)
    }).pipe(Effect.scoped)
  )

  it.effect("goes on where an earlier agent ended", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "host.log")
      for (const text of ["first", "second"]) {
        yield* Effect.provide(Effect.logInfo(text), Logger.layer([AgentLog.make(path, new Secrets())]))
      }
      assert.strictEqual(readFileSync(path, "utf8").trimEnd().split("\n").length, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("hides secrets, in messages and in causes, until their run is forgotten", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "host.log")
      const secrets = new Secrets()
      assert.isTrue(secrets.add("run", { mlflow: { password: "hunter2" } }))
      assert.isFalse(secrets.add("run", { mlflow: { password: "hunter2" } }))
      const cause = Effect.exit(Effect.fail(new Error("401 for hunter2")))
      yield* Effect.flatMap(cause, (exit) =>
        exit._tag === "Failure" ? Effect.logError("refused hunter2", exit.cause) : Effect.void
      ).pipe(Effect.provide(Logger.layer([AgentLog.make(path, secrets)])))
      const text = readFileSync(path, "utf8")
      assert.notInclude(text, "hunter2")
      assert.include(text, "401 for <redacted>")
      secrets.forget("run")
      assert.strictEqual(secrets.redact("hunter2"), "hunter2")
    }).pipe(Effect.scoped)
  )

  it.effect("does not stop anybody when it cannot be written", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "missing", "host.log")
      yield* Effect.provide(Effect.logInfo("lost"), Logger.layer([AgentLog.make(path, new Secrets())]))
    }).pipe(Effect.scoped)
  )
})
