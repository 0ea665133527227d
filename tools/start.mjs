/**
 * The first file of `npm run demo` and `npm test`: `node tools/start.mjs <command>`.
 *
 * It runs on whatever Node the user has, so it is written for very old ones: they get a sentence, not a stack trace.
 * What follows, in `setup/handOver.mjs`, is written for Node 18.
 */

/** The oldest Node that the files of `tools/setup/*.mjs` and the npm beside it run on. */
const oldestMajor = 18

if (Number(process.versions.node.split(".")[0]) < oldestMajor) {
  console.error(
    `tracelet needs Node ${oldestMajor} or newer to start; this is ${process.version} (${process.execPath}).`
  )
  console.error("Get one from https://nodejs.org or from your system's packages, and start again.")
  process.exitCode = 1
} else {
  void import("./setup/handOver.mjs")
}
