/** What the README says of the config and of what arrives otherwise is made from the code: `npx vitest run --project backend-mlflow readme --update`. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { manifest } from "@tracelet/backend-mlflow/MlflowPlugin"
import { capabilities } from "@tracelet/backend-mlflow/MlflowBackend"

const file = join(import.meta.dirname, "..", "README.md")

const keys = manifest.config.keys.map(({ default: value, description, isRequired, name, variables }) => {
  const standing = isRequired ? "required" : value === undefined ? "" : `\`${JSON.stringify(value)}\``
  return [`\`${name}\``, standing, variables.map((one) => `\`${one}\``).join(", "), description]
})

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

const parts = {
  config: table(["key", "default", "variables", "what it is"], keys),
  degradations: capabilities.degradations.map((sentence) => `- ${sentence}`).join("\n")
}

it("the README says what the code does", async () => {
  let page = readFileSync(file, "utf8")
  for (const [name, text] of Object.entries(parts)) {
    const whole = new RegExp(`(<!-- ${name} -->)[^]*(<!-- /${name} -->)`)
    expect(page).toMatch(whole)
    page = page.replace(whole, (_all, begin: string, end: string) => `${begin}\n\n${text}\n\n${end}`)
  }
  await expect(page).toMatchFileSnapshot(file)
})
