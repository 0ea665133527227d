/** The words that commands print of a run and of a backend are explained where a user looks for them. */
import { State } from "@tracelet/core/BackendStanding"
import { Status } from "@tracelet/core/Run"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"

const page = (path: string): string => readFileSync(join(import.meta.dirname, path), "utf8")

describe("words", () => {
  for (const word of [...Status.literals, ...State.literals]) {
    it(`${word} is in the glossary, and on the page of the commands with what to do`, () => {
      assert.match(page("../../../GLOSSARY.md"), new RegExp(`^\\| ${word} +\\| \\S`, "m"))
      assert.match(page("../README.md"), new RegExp(`^\\| \`${word}\` +\\| \\S.* \\| \\S`, "m"))
    })
  }
})
