/** Counts of tests over all languages, read from what the runners report. */
import { existsSync, readFileSync } from "node:fs"
import { relative } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 }
export const onePassed: Counts = { ...none, passed: 1 }
export const oneFailed: Counts = { ...none, failed: 1 }
export const oneSkipped: Counts = { ...none, skipped: 1 }

export const sum = (counts: ReadonlyArray<Counts>): Counts =>
  counts.reduce(
    (all, one) => ({
      passed: all.passed + one.passed,
      failed: all.failed + one.failed,
      skipped: all.skipped + one.skipped
    }),
    none
  )

/** The line that ends a full run, for whoever reads only that. */
export const show = ({ failed, passed, skipped }: Counts) => `${passed} passed, ${failed} failed, ${skipped} skipped`

const VitestReport = Schema.fromJsonString(
  Schema.Struct({
    testResults: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        assertionResults: Schema.Array(Schema.Struct({ fullName: Schema.String, status: Schema.String }))
      })
    ),
    numPassedTests: Schema.Int,
    numFailedTests: Schema.Int,
    numPendingTests: Schema.Int,
    numTodoTests: Schema.Int
  })
)

export const fromVitest = (json: string): Counts => {
  const report = Effect.runSync(Schema.decodeEffect(VitestReport)(json))
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests
  }
}

const skippedStatuses: ReadonlySet<string> = new Set(["pending", "skipped", "todo", "disabled"])

/** What vitest left out, as `FILE: TEST`; files by their path from `root`. */
export const skippedByVitest = (json: string, root: string): ReadonlyArray<string> =>
  Effect.runSync(Schema.decodeEffect(VitestReport)(json)).testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => skippedStatuses.has(status))
      .map(({ fullName }) => `${relative(root, name)}: ${fullName.trim()}`)
  )

/** What pytest left out, with its reason. */
export const skippedByJunit = (xml: string): ReadonlyArray<string> =>
  Array.from(xml.matchAll(/<testcase\b([^>]*[^>/])>\s*<skipped\b([^>]*)>/g), ([, test = "", skipped = ""]) => {
    const reason = attribute(skipped, "message")
    return `${attribute(test, "classname")}: ${attribute(test, "name")}${reason === "" ? "" : ` (${reason})`}`
  })

const attribute = (attributes: string, name: string): string =>
  (new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "")
    .replaceAll("&quot;", '"')
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&")

/** The names in a report; none where a runner left no report. */
export const skippedIn = (parse: (text: string) => ReadonlyArray<string>, file: string): ReadonlyArray<string> =>
  existsSync(file) ? parse(readFileSync(file, "utf8")) : []

/** Reads JUnit XML: the attributes of the one `testsuite` that pytest writes. */
export const fromJunit = (xml: string): Counts => {
  const attributes = /<testsuite [^>]*>/.exec(xml)?.[0] ?? ""
  const value = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(attributes)?.[1] ?? 0)
  const failed = value("failures") + value("errors")
  const skipped = value("skipped")
  return { passed: value("tests") - failed - skipped, failed, skipped }
}

/**
 * The counts of a runner. One that failed without naming a failed test (a file that does not load, a crash) counts as
 * one failure, so that the sum never looks better than the run.
 */
export const ofRunner = (parse: (text: string) => Counts, file: string, hasPassed: boolean): Counts => {
  const counts = existsSync(file) ? parse(readFileSync(file, "utf8")) : none
  return hasPassed || counts.failed > 0 ? counts : sum([counts, oneFailed])
}
