/**
 * Delivers one run and is killed at a step: `deliver.ts FOLDER RUN store|service STEP`. A step is a call to the file system or to SQLite,
 * of the journal, the lock, the cursor and the backend alike; it is killed before its STEP-th call, so after the one before it. With more
 * steps than there are it says on stdout how many there were, and ends well.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { DatabaseSync, StatementSync } from "node:sqlite"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Journal from "@tracelet/core/Journal"
import { deliverAll } from "../delivering.ts"

/** Whoever started it has ended it long before. */
const lifeMs = 60_000
setTimeout(() => process.exit(9), lifeMs).unref()

const [folder = "", run = "", kind = "", stop = "0"] = process.argv.slice(2)
let steps = 0
let isCounting = false

const step = () => {
  if (isCounting && ++steps === Number(stop)) process.kill(process.pid, "SIGKILL")
}

/** Counts the calls of a method, and lets them through. */
const count = (owner: object, name: string) => {
  const method: unknown = Reflect.get(owner, name)
  if (typeof method !== "function") throw new Error(`there is no ${name}`)
  Object.defineProperty(owner, name, {
    configurable: true,
    writable: true,
    value(this: unknown, ...args: ReadonlyArray<unknown>): unknown {
      step()
      return Reflect.apply(method, this, args)
    }
  })
}

for (const name of ["openSync", "writevSync", "writeSync", "closeSync", "fdatasync", "fsync", "rename", "linkSync"]) {
  count(fs, name)
}
for (const name of ["unlinkSync", "mkdirSync", "readSync", "readFileSync"]) count(fs, name)
syncBuiltinESMExports()
for (const name of ["exec", "close"]) count(DatabaseSync.prototype, name)
for (const name of ["run", "get", "all"]) count(StatementSync.prototype, name)

isCounting = true
await Effect.runPromise(
  Effect.scoped(deliverAll(folder, run, kind === "store" ? "store" : "service")).pipe(
    Effect.provide(Layer.provide(Journal.layerFile({ dir: folder }), NodePlatform.layer))
  )
)
isCounting = false
console.log(steps)
