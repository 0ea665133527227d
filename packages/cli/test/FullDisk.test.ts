/** A folder on a disk without any room: what is asked for is done where it needs none, and what stands in the way is named. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { spawnSync } from "node:child_process"
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import * as Output from "../src/Output.ts"
import { temporaryFolder, tracelet } from "./support/harness.ts"
import { training, write, writeEnded } from "./support/runs.ts"

const decodeDoctor = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.Doctor))
const decodeStarted = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.AgentStarted))
const decodeStopped = Schema.decodeUnknownEffect(Schema.fromJsonString(Output.AgentStopped))

const runs = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

const canMount = process.getuid?.() === 0 && runs("unshare", "-m", "mount", "-t", "tmpfs", "tracelet", "/mnt")

/** A disk of so many mebibytes in a folder of its own, and what fills it. */
const small = (mebibytes: number) =>
  Effect.gen(function* () {
    const dir = join(yield* temporaryFolder, "disk")
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        mkdirSync(dir)
        assert.isTrue(runs("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m`, "tracelet", dir))
      }),
      () => Effect.sync(() => runs("umount", "-l", dir))
    )
    const fill = () => {
      const file = openSync(join(dir, "ballast"), "a")
      for (const bytes of [1 << 16, 4096]) {
        try {
          while (writeSync(file, Buffer.alloc(bytes)) === bytes);
        } catch {
          // No room for as many.
        }
      }
      closeSync(file)
    }
    return { dir, fill }
  })

describe("a full disk", { timeout: 30_000 }, () => {
  it.live.skipIf(!canMount)("does not keep an agent from being stopped, and is named (root, mount)", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir, fill } = yield* small(8)
        yield* writeEnded(dir, { id: "aa11".padEnd(32, "0"), log: training })
        yield* tracelet(dir, ["sync", "--dir", "."])
        const started = yield* tracelet(dir, ["agent", "start", "--idle", "20s", "--json", "--dir", "."])
        const { agent } = yield* decodeStarted(started.out)
        yield* Effect.addFinalizer(() =>
          Effect.map(AgentAddress.read(dir), (address) => {
            if (address?.pid === agent.pid) process.kill(agent.pid, "SIGKILL")
          })
        )
        yield* write(dir, { id: "bb22".padEnd(32, "0"), name: "second", end: undefined, log: training })
        fill()
        const stopped = yield* tracelet(dir, ["agent", "stop", "--json", "--dir", "."])
        assert.strictEqual(stopped.code, 0, stopped.err)
        assert.deepInclude(yield* decodeStopped(stopped.out), { stopped: true, running: 1 })
        assert.match(stopped.err, /^tracelet: The store [^\n]* full [^\n]*\n$/)
        // Without room for what SQLite keeps beside it while it is open, the store cannot even be read.
        rmSync(join(dir, "store.db-shm"), { force: true })
        fill()
        const again = yield* tracelet(dir, ["agent", "stop", "--dir", "."])
        assert.strictEqual(again.code, 0, again.err)
        assert.include(again.err, "There is no room left on its disk: make some")
        assert.include(again.out, "No agent is running")
        const doctor = yield* tracelet(dir, ["doctor", "--json", "--dir", "."])
        assert.strictEqual(doctor.code, 1)
        const { checks } = yield* decodeDoctor(doctor.out)
        const disk = checks.find(({ name }) => name === "disk")
        assert.strictEqual(disk?.state, "bad")
        assert.match(disk?.found ?? "", /^0 B free, and [\d,]+ inodes: no room for a journal/)
        const store = checks.find(({ name }) => name === "store")
        assert.include(store?.found, "There is no room left on its disk")
        assert.strictEqual(store?.advice, "It is well again when there is room on the disk.")
      })
    )
  )

  it.live.skipIf(!canMount)("is seen coming, in bytes and in files (root, mount)", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { dir } = yield* small(200)
        const disk = Effect.gen(function* () {
          const { checks } = yield* decodeDoctor((yield* tracelet(dir, ["doctor", "--json", "--dir", "."])).out)
          return checks.find(({ name }) => name === "disk")
        })
        assert.strictEqual((yield* disk)?.state, "warning")
        assert.isTrue(runs("mount", "-o", "remount,size=400m", dir))
        assert.deepInclude(yield* disk, { state: "good", advice: "" })
        assert.isTrue(runs("mount", "-o", "remount,nr_inodes=500", dir))
        assert.strictEqual((yield* disk)?.state, "warning")
        assert.isTrue(runs("mount", "-o", "remount,nr_inodes=10", dir))
        assert.strictEqual((yield* disk)?.state, "bad")
      })
    )
  )
})
