/**
 * Links the pinned Node as `node_modules/.bin/node`, where `npm run` and `npx` look first. Runs after every installation:
 * npm before version 11 links it and then removes it again, together with the packages of other platforms, whose program
 * has the same name. Plain JavaScript for Node 18.
 */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import process from "node:process"
import { pinnedNode, root } from "./packages.mjs"

const linkNode = () => {
  const node = pinnedNode()
  const isWindows = process.platform === "win32"
  const link = join(root, "node_modules", ".bin", isWindows ? "node.cmd" : "node")
  if (node === undefined || existsSync(link)) return
  mkdirSync(dirname(link), { recursive: true })
  const target = relative(dirname(link), node)
  if (isWindows) writeFileSync(link, `@"%~dp0\\${target}" %*\r\n`)
  else symlinkSync(target, link)
}

linkNode()
