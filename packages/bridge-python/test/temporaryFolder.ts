/**
 * A folder of its own for each test.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(realpathSync(tmpdir()), "tracelet-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)
