import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { again, runGraph, type Step } from "./graph.ts"

const ok = (name: string, ...after: ReadonlyArray<string>): Step => ({ name, command: "exit 0", after })
const bad = (name: string): Step => ({ name, command: "echo what went wrong; exit 3" })

describe("runGraph", () => {
  let shown: Array<string> = []
  beforeEach(() => {
    shown = []
    vi.spyOn(console, "log").mockImplementation((line: string) => void shown.push(line))
  })
  afterEach(() => vi.restoreAllMocks())

  it("runs a step after those it follows, wherever it stands in the list", async () => {
    await runGraph([ok("last", "middle"), ok("middle", "first"), ok("first")], "stop")
    expect(shown.map((line) => /first|middle|last/.exec(line)?.[0])).toEqual(["first", "middle", "last"])
  })

  it("stops at a failure and shows its output and the line to run again", async () => {
    const outcomes = await runGraph([bad("a"), ok("b", "a"), ok("c", "b")], "stop")
    expect(Object.fromEntries(outcomes)).toEqual({ a: "failed", b: "not run", c: "not run" })
    expect(shown.join("\n")).toContain("what went wrong")
    expect(shown.join("\n")).toContain("To run it again: npx echo what went wrong; exit 3")
  })

  it("says a line that a shell runs, also where the command begins with settings", () => {
    expect(again("HISTORIES=10000 A=b vitest run --coverage")).toBe("HISTORIES=10000 A=b npx vitest run --coverage")
    expect(again("cd packages && python -m pytest")).toBe("cd packages && python -m pytest")
  })

  it("goes on with everything when asked to", async () => {
    const outcomes = await runGraph([bad("a"), ok("b", "a"), ok("c"), ok("d", "c")], "go on")
    expect(Object.fromEntries(outcomes)).toEqual({ a: "failed", b: "passed", c: "passed", d: "passed" })
  })

  it("names what this machine cannot run, and why", async () => {
    const outcomes = await runGraph([{ ...bad("a"), skip: "no such thing here" }], "stop")
    expect(Object.fromEntries(outcomes)).toEqual({ a: "skipped" })
    expect(shown).toEqual(["  - a … skipped: no such thing here"])
  })

  it("does not wait for a long step after a failure", async () => {
    const long: Step = { name: "long", command: "sleep 60; true" }
    const outcomes = await runGraph([long, bad("a")], "stop")
    expect(Object.fromEntries(outcomes)).toEqual({ a: "failed", long: "not run" })
  })
})
