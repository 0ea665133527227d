import { assert, describe, it } from "@effect/vitest"
import * as FileSystems from "@tracelet/platform-node/FileSystems"
import * as Effect from "effect/Effect"
import { kindOf, mountOf, parseMountInfo } from "../src/internal/mounts.ts"
import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { canMount, runs } from "./machine.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

// Lines as proc(5) describes them: with and without optional fields, an escaped name, a mount over another.
const table = [
  "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
  "30 22 0:26 / /home rw shared:2 master:3 propagate_from:1 - nfs4 server:/home rw,vers=4.2",
  "31 30 0:27 / /home/me/my\\040disk rw - xfs /dev/sdb1 rw",
  "32 22 0:28 / /scratch rw - tmpfs tmpfs rw",
  "33 32 0:29 / /scratch rw - lustre mds@tcp:/scratch rw",
  ""
].join("\n")

describe("the mount table", () => {
  const type = (path: string) => mountOf(parseMountInfo(table), path)?.type

  it("is asked for the longest mount point", () => {
    assert.deepStrictEqual(
      ["/", "/homes/x", "/home", "/home/me", "/home/me/my disk", "/home/me/my disk/run", "/home/me/my"].map(type),
      ["ext4", "ext4", "nfs4", "nfs4", "xfs", "xfs", "nfs4"]
    )
  })

  it("is asked for the mount that covers another", () => {
    assert.strictEqual(type("/scratch/run"), "lustre")
  })

  it("has nothing to say when it is empty", () => {
    assert.isUndefined(mountOf(parseMountInfo(""), "/"))
  })
})

describe("a type of file system", () => {
  it("is local, on the network, or unknown", () => {
    const kinds = (...types: ReadonlyArray<string>) => [...new Set(types.map(kindOf))]
    assert.deepStrictEqual(kinds("ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "zfs", "overlay"), ["local"])
    assert.deepStrictEqual(
      kinds("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "lustre", "gpfs", "ceph", "afs", "beegfs"),
      ["network"]
    )
    assert.deepStrictEqual(kinds("fuseblk", "vboxsf", "nfsd", "proc", ""), ["unknown"])
  })

  it("that is unknown is not trusted with locks", () => {
    const found = (kind: FileSystems.Kind) => FileSystems.isLocal({ type: "", mountPoint: "/", kind })
    assert.deepStrictEqual([found("local"), found("network"), found("unknown")], [true, false, false])
  })
})

describe("lookup", () => {
  it.live.skipIf(!canMount)("follows links, and takes a path that is not there for its folder (root, mount)", () =>
    Effect.gen(function* () {
      const root = yield* temporaryFolder
      const disk = join(root, "a disk")
      mkdirSync(disk)
      assert.isTrue(runs("mount", "-t", "tmpfs", "tracelet", disk))
      yield* Effect.addFinalizer(() => Effect.sync(() => runs("umount", disk)))
      symlinkSync(disk, join(root, "link"))
      const expected = { type: "tmpfs", mountPoint: disk, kind: "local" }
      assert.deepStrictEqual(yield* FileSystems.lookup(disk), expected)
      assert.deepStrictEqual(yield* FileSystems.lookup(join(root, "link", "no", "such", "folder")), expected)
      assert.notDeepEqual(yield* FileSystems.lookup(root), expected)
    })
  )

  it.live.skipIf(process.platform !== "linux")("does not trust what is not a disk (Linux)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* FileSystems.lookup("/proc/self"), {
        type: "proc",
        mountPoint: "/proc",
        kind: "unknown"
      })
    })
  )
})
