import { assert, it } from "@effect/vitest"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import * as Effect from "effect/Effect"
import { chmodSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { temporaryFolder } from "./temporaryFolder.ts"

describe("an agent's files", () => {
  it("carry the host's name, with what a file's name cannot hold replaced (A1)", () => {
    assert.strictEqual(AgentAddress.files("/f", "node-1.a_b").address, "/f/agents/node-1.a_b.json")
    assert.strictEqual(AgentAddress.files("/f", "my mac/ü").lock, "/f/agents/my_mac__.lock")
  })

  it.effect("are read back as written, with mode 0600; what is no address is none (A3)", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryFolder
      assert.isUndefined(yield* AgentAddress.read(dir))
      const { address: path, folder } = AgentAddress.files(dir)
      mkdirSync(folder)
      const address = {
        version: 1,
        tracelet: "0.1.0",
        pid: 7,
        address: "/run/x.sock",
        token: "0f".repeat(32),
        startedAt: 1.5
      }
      yield* AgentAddress.write(dir, address)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.deepStrictEqual(yield* AgentAddress.read(dir), address)
      for (const text of ["", "{}", JSON.stringify({ ...address, token: "short" })]) {
        writeFileSync(path, text)
        assert.isUndefined(yield* AgentAddress.read(dir))
      }
      yield* AgentAddress.remove(dir)
      yield* AgentAddress.remove(dir)
    }).pipe(Effect.scoped)
  )
})

describe("the socket's path", () => {
  it.effect("is 16 digits of the folder's hash, in a folder of mode 0700 in XDG_RUNTIME_DIR (A4)", () =>
    Effect.gen(function* () {
      const runtime = yield* temporaryFolder
      mkdirSync(join(runtime, "tracelet"))
      chmodSync(join(runtime, "tracelet"), 0o755)
      const path = yield* AgentAddress.socketPath("/data/.tracelet", { XDG_RUNTIME_DIR: runtime })
      // The first digits that `printf /data/.tracelet | sha256sum` prints.
      assert.strictEqual(path, join(runtime, "tracelet", "8d608522a2a98087.sock"))
      assert.strictEqual(statSync(join(runtime, "tracelet")).mode & 0o777, 0o700)
    }).pipe(Effect.scoped)
  )

  it.effect("may have 107 bytes on Linux; one more, and the next folder is taken", () =>
    Effect.gen(function* () {
      const home = yield* temporaryFolder
      const rest = "/tracelet/0123456789abcdef.sock".length
      for (const [bytes, isTaken] of [
        [AgentAddress.socketBytesMax, true],
        [AgentAddress.socketBytesMax + 1, false]
      ] as const) {
        const runtime = join(home, "r".repeat(bytes - rest - home.length - 1))
        const path = yield* AgentAddress.socketPath("/f", { XDG_RUNTIME_DIR: runtime })
        assert.strictEqual(path.startsWith(runtime), isTaken)
        if (isTaken) assert.strictEqual(Buffer.byteLength(path), bytes)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("does not lie behind a link that somebody else made", () =>
    Effect.gen(function* () {
      const runtime = yield* temporaryFolder
      mkdirSync(join(runtime, "elsewhere"))
      symlinkSync(join(runtime, "elsewhere"), join(runtime, "tracelet"))
      const path = yield* AgentAddress.socketPath("/f", { XDG_RUNTIME_DIR: runtime })
      assert.isFalse(path.startsWith(runtime))
      assert.isTrue(lstatSync(join(runtime, "tracelet")).isSymbolicLink())
    }).pipe(Effect.scoped)
  )
})
