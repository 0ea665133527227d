/**
 * How the compiler's messages read when the wiring is wrong: what a user sees, held as goldens. `npx vitest -u` updates them.
 */
import { execFile } from "node:child_process"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "../../..")
const fixtures = join(import.meta.dirname, "../typetest/fixtures")
const names = readdirSync(fixtures).filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))

/** The compiler's output, by file: without the files' places, which say nothing to a user. */
const compile = async (): Promise<ReadonlyMap<string, string>> => {
  const args = ["-p", join(fixtures, "tsconfig.json"), "--pretty", "false"]
  const { stdout } = await promisify(execFile)(join(root, "node_modules/.bin/tsc"), args, { cwd: fixtures }).catch(
    (failed: { readonly stdout: string }) => failed
  )
  const messages = new Map<string, string>()
  let current = ""
  for (const line of stdout.split("\n")) {
    const start = /^([\w-]+\.ts)\(\d+,\d+\): (.*)$/.exec(line)
    current = start?.[1] ?? current
    if (current !== "") messages.set(current, `${messages.get(current) ?? ""}${start?.[2] ?? line}\n`)
  }
  return messages
}

describe("a wiring mistake", async () => {
  const messages = await compile()
  it.each(names)("%s does not compile, and says why", async (name) => {
    await expect(messages.get(name) ?? "it compiles").toMatchFileSnapshot(join(fixtures, name.replace(/ts$/, "txt")))
  })
  it("is the only one in each file", () => {
    expect([...messages.keys()].toSorted()).toEqual(names.toSorted())
  })
})
