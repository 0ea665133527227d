"use strict"
// Starts the bundled agent behind Node's compile cache: 64 ms to its first line instead of 81.
const modules = require("node:module")
const os = require("node:os")
const path = require("node:path")
const v8 = require("node:v8")

/** The agent never ends by itself, and Node writes the cache at the end: so it is written once the start is over. */
const startIsOverMs = 1000

// What lives for a moment only may have 1 MB: V8 would let it grow to 32 while a backlog is delivered, and gains no time by it.
v8.setFlagsFromString("--semi-space-growth-factor=1")

// The user's own cache folder: the default lies in the temporary one, where others could prepare it.
try {
  const cache = process.env["XDG_CACHE_HOME"] || path.join(os.homedir(), ".cache")
  // An empty HOME would put the cache wherever the trainer was started.
  if (path.isAbsolute(cache)) modules.enableCompileCache?.(path.join(cache, "tracelet", "compile"))
} catch {
  // A container's user without a home: the agent starts a little slower.
}
require(path.join(__dirname, "agent.cjs"))
setTimeout(() => modules.flushCompileCache?.(), startIsOverMs).unref()
