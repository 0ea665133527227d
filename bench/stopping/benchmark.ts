/** How long `stop_logging` keeps a trainer that hands over to its agent. See README.md beside it. */
import { join } from "node:path"
import { figure, printHead, printRow, rounds } from "../harness.ts"
import { runPython, startAgent, temporary, until } from "../processes.ts"

const points = 10_000

const { dir } = temporary()
const agent = await startAgent(dir)
const took: Array<number> = []
const asked: Array<number> = []
for (let round = -1; round < rounds; round++) {
  const [run = "", stop, request] = runPython(dir, [join(import.meta.dirname, "trainer.py")], "on").split(" ")
  if (round >= 0) {
    took.push(Number(stop))
    asked.push(Number(request))
  }
  // The trainer is gone, and all of it arrives.
  await until("delivery", 30_000, async () => (await agent.run(run))?.backends["local"]?.delivered === points)
}
await agent.stop()

printHead()
printRow(
  "`stop_logging` after 10,000 points, handing over",
  "ms",
  [figure("stop_logging", took), figure("one request to the agent", asked)],
  "≤ 50"
)
