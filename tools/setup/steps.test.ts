import { afterEach, describe, expect, it, vi } from "vitest"
import { StepError, makeSteps, run, runMain, showDuration } from "./steps.mjs"

const node = (program: string) => run(process.execPath, ["-e", program], { again: "do it again" })

describe("steps", () => {
  afterEach(() => vi.restoreAllMocks())

  it("show durations in words of fitting size", () => {
    expect([40, 1234, 9960, 61_000, 185_000].map(showDuration)).toEqual(["0.0 s", "1.2 s", "10 s", "61 s", "3 min 5 s"])
  })

  it("resolve with standard output and report every line, wherever it was written to", async () => {
    const seen: Array<string> = []
    const program = `console.log("out"); console.error("err")`
    const stdout = await run(process.execPath, ["-e", program], { report: (line) => seen.push(line) })
    expect(stdout).toBe("out\n")
    expect(seen.toSorted()).toEqual(["err", "out"])
  })

  it("fail with the first and the last lines of a long output and the line to run again", async () => {
    const program = `for (let i = 1; i <= 100; i++) console.log("line " + i); process.exitCode = 3`
    const error: unknown = await node(program).catch((reason: unknown) => reason)
    if (!(error instanceof StepError)) throw new Error("expected a StepError")
    const lines = error.output.split("\n")
    expect([lines[0], lines[7], lines[8], lines[9], lines.at(-1)]).toEqual([
      "line 1",
      "line 8",
      "…",
      "line 61",
      "line 100"
    ])
    expect(error.message).toContain("ended with code 3")
    expect(error.again).toBe("do it again")
  })

  it.skipIf(process.platform === "win32")("end a program that hangs, and what it started", async () => {
    // The shell waits for a child that keeps its output open: ending the shell alone would leave both waiting.
    const hang = run("sleep 60; true", [], { shell: true, limitMs: 100 })
    await expect(hang).rejects.toThrow("was ended after 0.1 s")
  })

  it("say where they are in the plan, and what they resolved with", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {})
    await makeSteps(["first", "second"]).step("second", () => Promise.resolve("already there"))
    expect(log.mock.calls.flat().join("\n")).toMatch(/\[2\/2\] second … 0\.\d s {2}already there$/)
  })

  it("set the exit code when one fails", async () => {
    const shown = vi.spyOn(console, "error").mockImplementation(() => {})
    const before = process.exitCode
    await runMain(() => Promise.reject(new StepError("no", { again: "yes" })))
    expect(process.exitCode).toBe(1)
    process.exitCode = before
    expect(shown.mock.calls.flat()).toEqual(["\nno", "To run it again: yes"])
  })
})
