import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import * as Counts from "./counts.ts"

const vitest = JSON.stringify({
  testResults: [
    {
      name: "/clone/packages/core/test/a.test.ts",
      status: "passed",
      assertionResults: [
        { fullName: "a lock is held", status: "passed" },
        { fullName: "a lock on NFS is held", status: "skipped" },
        { fullName: " one day", status: "todo" }
      ]
    }
  ],
  numPassedTests: 7,
  numFailedTests: 1,
  numPendingTests: 2,
  numTodoTests: 1,
  extra: true
})
const junit = (failures: number) =>
  `<?xml version="1.0"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="${failures}" ` +
  `skipped="3" tests="20" time="0.1"><testcase name="a" tests="99" /></testsuite></testsuites>`

describe("counts", () => {
  const folder = mkdtempSync(join(tmpdir(), "tracelet-counts-"))
  const file = join(folder, "report")
  afterAll(() => rmSync(folder, { recursive: true }))

  it("reads vitest's report, a todo being a skipped test", () => {
    expect(Counts.fromVitest(vitest)).toEqual({ passed: 7, failed: 1, skipped: 3 })
  })

  it("reads pytest's report, an error being a failed test", () => {
    expect(Counts.fromJunit(junit(2))).toEqual({ passed: 14, failed: 3, skipped: 3 })
  })

  it("names what vitest skipped, by its file", () => {
    expect(Counts.skippedByVitest(vitest, "/clone")).toEqual([
      "packages/core/test/a.test.ts: a lock on NFS is held",
      "packages/core/test/a.test.ts: one day"
    ])
  })

  it("names what pytest skipped, with its reason, and what a missing report skipped: nothing", () => {
    const xml =
      `<testsuite skipped="2" tests="3"><testcase classname="tests.test_a" name="test_fine" time="0.1" />` +
      `<testcase classname="tests.test_a" name="test_x[a&lt;b]" time="0.1"><skipped type="pytest.skip" ` +
      `message="locks are Linux&quot;s">file:1</skipped></testcase>` +
      `<testcase classname="tests.test_b" name="test_y"><skipped type="pytest.skip" /></testcase></testsuite>`
    expect(Counts.skippedByJunit(xml)).toEqual([
      `tests.test_a: test_x[a<b] (locks are Linux"s)`,
      "tests.test_b: test_y"
    ])
    expect(Counts.skippedIn(Counts.skippedByJunit, `${file}.missing`)).toEqual([])
  })

  it("counts a runner that failed without a failed test as one failure", () => {
    writeFileSync(file, `<testsuite errors="0" failures="0" skipped="0" tests="5" />`)
    expect(Counts.ofRunner(Counts.fromJunit, file, true)).toEqual({ passed: 5, failed: 0, skipped: 0 })
    expect(Counts.ofRunner(Counts.fromJunit, file, false)).toEqual({ passed: 5, failed: 1, skipped: 0 })
    expect(Counts.ofRunner(Counts.fromJunit, `${file}.missing`, false)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })

  it("shows one plain line", () => {
    expect(Counts.show(Counts.sum([Counts.onePassed, Counts.onePassed, Counts.oneFailed, Counts.oneSkipped]))).toBe(
      "2 passed, 1 failed, 1 skipped"
    )
  })
})
