/**
 * What this machine lets a test do. Tests that need one of these say so in their names.
 */
import { spawnSync } from "node:child_process"

/** Whether a command succeeds. */
export const runs = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

export const isRoot = process.getuid?.() === 0

/** Tried in a namespace of its own, so that nothing stays mounted. */
export const canMount = isRoot && runs("unshare", "-m", "mount", "-t", "tmpfs", "tracelet", "/mnt")
