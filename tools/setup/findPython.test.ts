import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { findPython } from "./findPython.mjs"

describe.skipIf(process.platform === "win32")("findPython", () => {
  let folder = ""
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tracelet-python-"))))
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  /** A program by that name that answers as a Python would. */
  const python = (name: string, answer: string): string => {
    const file = join(folder, name)
    writeFileSync(file, `#!/bin/sh\necho "${answer}"\n`)
    chmodSync(file, 0o755)
    return file
  }

  it("takes the second name when the first is too old", () => {
    vi.stubEnv("PATH", `${folder}:/usr/bin:/bin`)
    vi.stubEnv("TRACELET_PYTHON", undefined)
    python("python3", "3 8 - /old")
    python("python", "3 12 - /with spaces/python")
    expect(findPython()).toEqual({ executable: "/with spaces/python", minor: 12, hasVenv: true, hasPip: true })
  })

  it("sees that Debian's venv package is missing", () => {
    vi.stubEnv("TRACELET_PYTHON", python("python3", "3 11 ensurepip /usr/bin/python3"))
    expect(findPython()).toMatchObject({ hasVenv: true, hasPip: false })
  })

  it("says what it tried when none is new enough", () => {
    vi.stubEnv("PATH", folder)
    vi.stubEnv("TRACELET_PYTHON", undefined)
    expect(() => findPython()).toThrow("python3 is not there, python is not there")
  })

  it("does not go past the one that was asked for", () => {
    const old = python("old", "2 7 - /usr/bin/python2")
    vi.stubEnv("TRACELET_PYTHON", old)
    expect(() => findPython()).toThrow(`${old} is Python 2.7`)
  })
})
