/**
 * That nothing grows faster than what is recorded: smaller doses of bench/growth, bench/backlog and bench/disk. Bounds are several times what
 * is measured, so that a busy machine passes and a square does not.
 */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { figure, verdict } from "../bench/harness.ts"
import { memoryMb, onlyRun, runPython, startAgent, temporary, until, type Agent } from "../bench/processes.ts"

const agents: Array<Agent> = []
const agentOf = async (dir: string): Promise<Agent> => {
  const agent = await startAgent(dir)
  agents.push(agent)
  return agent
}
afterAll(async () => {
  for (const agent of agents) await agent.stop()
})

/** Records a run of SERIES × POINTS and returns the least seconds of processor time that a point of three runs took. */
const record = (dir: string, series: number, points: number): number =>
  Number(
    runPython(dir, [
      "-c",
      `import time, tracelet
run = tracelet.start_logging(exp_name="growth", project="growth", backend="local")
names = [f"metric/{n}" for n in range(${series})]
begin = time.process_time()
for step in range(${points}):
    for name in names: run.log_metric(name, 0.5, step)
print((time.process_time() - begin) / ${series * points})
assert not run.refused
tracelet.stop_logging(wait=False)`
    ])
  )

const delivered = (agent: Agent, dir: string, points: number) =>
  until("delivery", 120_000, async () => (await agent.run(onlyRun(dir)))?.backends["local"]?.delivered === points)

describe("a verdict of a bench", () => {
  it("is about the figure, or with × about the ratio", () => {
    expect(verdict("≤ 1,000", 1_000, 9)).toBe("met")
    expect(verdict("≤ 1,000", 1_001, 0)).toBe("missed")
    expect(verdict("≥ 0.98 ×", 5, 0.97)).toBe("missed")
    expect(verdict("0.8–1.2 ×", 5, 1.2)).toBe("met")
    expect(verdict("0.8–1.2 ×", 5, 0.79)).toBe("missed")
    expect(verdict("", 5, 1)).toBe("")
    expect(figure("", [3, 1, 2])).toEqual({ name: "", median: 2, least: 1, most: 3 })
  })
})

describe("what grows", { timeout: 240_000 }, () => {
  it("capture: a point of a long run costs what one of a short run does", () => {
    const cost = (points: number) => Math.min(...[0, 1, 2].map(() => record(temporary().dir, 1, points)))
    // Measured: 1.0 times. A look through what was logged before would be hundreds.
    expect(cost(400_000) / cost(20_000)).toBeLessThan(4)
  })

  it("delivery: a point of a run of 20,000 series costs a few times what one of a run of one series does", async () => {
    const cost = async (series: number, points: number) => {
      const { dir } = temporary()
      record(dir, series, points)
      const began = performance.now()
      await delivered(await agentOf(dir), dir, series * points)
      return performance.now() - began
    }
    const few = await cost(1, 100_000)
    // Measured: 2 to 3 times, the start of the agent in both. A square would be thousands.
    expect((await cost(20_000, 5)) / few).toBeLessThan(15)
  })

  it("an agent gives back the memory of a backlog", async () => {
    const { dir } = temporary()
    record(dir, 1, 500_000)
    const agent = await agentOf(dir)
    await delivered(agent, dir, 500_000)
    // Measured: 115 while it delivers, 70 from 8 s after; 59 when it has had nothing to do.
    expect(memoryMb(agent.pid, "VmHWM")).toBeLessThan(180)
    await until("memory given back", 60_000, () => memoryMb(agent.pid, "VmRSS") < 90)
  })

  it("a killed writer's reservation is given back by the agent that finds it dead, and all of it is delivered", async () => {
    const { dir } = temporary()
    runPython(dir, [
      "-c",
      `import os, tracelet
if os.fork() == 0:
    run = tracelet.start_logging(exp_name="killed", project="growth", backend="local,absent")
    for step in range(10_000): run.log_metric("loss", 0.5, step)
    os.kill(os.getpid(), 9)
os.wait()`
    ])
    const journal = join(dir, "runs", onlyRun(dir), "journal")
    const bytes = () =>
      readdirSync(journal).reduce(
        (sum, name) => sum + (statSync(join(journal, name), { throwIfNoEntry: false })?.size ?? 0),
        0
      )
    // 64, 128 and 256 KiB, and perhaps the next one.
    expect(bytes()).toBeGreaterThanOrEqual((64 + 128 + 256) * 1024)
    const agent = await agentOf(dir)
    await delivered(agent, dir, 10_000)
    await until("the reservation", 30_000, () => bytes() < 405_000)
    expect(readdirSync(journal).filter((name) => name.endsWith(".tmp"))).toEqual([])
  })
})
