/** What journals take on the disk. See README.md beside it. */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { figure, printHead, printRow, rounds } from "../harness.ts"
import {
  command,
  diskMb,
  ended,
  environment,
  onlyRun,
  startAgent,
  startPython,
  temporary,
  until
} from "../processes.ts"

const million = 1_000_000
const archived: Array<number> = []
const trainer = join(import.meta.dirname, "trainer.py")

/** The bytes of the points themselves: 40 a record. */
const leastMb = (million * 40) / 1e6

/** MB of the journal of a million points: while its writer lives, and when it has ended, by itself or killed under an agent. */
const journal = async (ending: "stop" | "kill"): Promise<readonly [live: number, after: number]> => {
  const { dir, remove } = temporary()
  const { child, line } = await startPython(dir, [trainer, String(million)])
  const folder = join(dir, "runs", line, "journal")
  const live = diskMb(folder)
  if (ending === "stop") {
    child.stdin.end("stop\n")
    await ended(child)
    const after = diskMb(folder)
    for (const args of [["sync"], ["archive"]]) {
      const { status, stderr } = spawnSync(process.execPath, [command, ...args], {
        env: environment(dir),
        encoding: "utf8"
      })
      if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
    }
    archived.push(diskMb(folder))
    remove()
    return [live, after]
  }
  child.kill("SIGKILL")
  await ended(child)
  // It cannot be delivered, and so not be archived either: its store is no database.
  writeFileSync(join(dir, "store.db"), "no database".repeat(100))
  const agent = await startAgent(dir)
  await until("giving back", 20_000, async () => (await agent.run(onlyRun(dir))) !== undefined)
  await until("giving back", 20_000, () => diskMb(folder) < live - 1)
  await agent.stop()
  const after = diskMb(folder)
  remove()
  return [live, after]
}

const least = figure("the records alone", [leastMb])
const [stopped, killed]: [Array<readonly [number, number]>, Array<readonly [number, number]>] = [[], []]
for (let round = 0; round < rounds; round++) {
  stopped.push(await journal("stop"))
  killed.push(await journal("kill"))
}
const column = (values: ReadonlyArray<readonly [number, number]>, index: 0 | 1) => values.map((value) => value[index])

printHead()
printRow(
  "journal of a million points, while its writer lives",
  "MB",
  [figure("live", column(stopped, 0)), least],
  "≤ 56"
)
printRow("the same when the writer has ended", "MB", [figure("after", column(stopped, 1)), least], "≤ 48")
printRow("the same archived", "MB", [figure("archived", archived), least], "≤ 10")
printRow("the same when it was killed, and an agent came", "MB", [figure("killed", column(killed, 1)), least], "≤ 48")
