import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe } from "vitest"
import * as Origin from "@tracelet/platform-node/Origin"

let folder = ""
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "tracelet-origin-")))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const git = (cwd: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", ...args], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  }).trim()

const repository = (): string => {
  const path = join(folder, "repository")
  mkdirSync(join(path, "src"), { recursive: true })
  git(path, "init", "-q", "-b", "feature/x")
  git(path, "commit", "-q", "--allow-empty", "-m", "first")
  return path
}

const of = (cwd: string, script: string | undefined, env: Record<string, string> = {}) =>
  Origin.of({ cwd, argv: script === undefined ? ["node"] : ["node", script], env: { USER: "me", ...env } })

describe("where a run was begun", () => {
  it("names the program as one would call it there, the user and the host", () => {
    const inside = of(folder, join(folder, "src", "train.ts"))
    assert.deepStrictEqual(inside, { program: join("src", "train.ts"), user: "me", host: hostname() })
    assert.strictEqual(of(join(folder, "src"), join(folder, "train.ts")).program, join(folder, "train.ts"))
    assert.notProperty(of(folder, undefined), "program")
  })

  it("names the commit, the branch and the remote of the program's repository, or of the working directory", () => {
    const path = repository()
    git(path, "remote", "add", "upstream", "https://example.org/theirs.git")
    git(path, "remote", "add", "origin", "https://me:geheim@example.org/mine.git")
    const wanted = {
      commit: git(path, "rev-parse", "HEAD"),
      branch: "feature/x",
      remote: "https://example.org/mine.git"
    }
    assert.deepStrictEqual(of(folder, join(path, "src", "train.ts")).git, wanted)
    assert.deepStrictEqual(of(join(path, "src"), "/usr/bin/something").git, wanted)
    assert.notProperty(of(path, undefined, { TRACELET_TRACK_GIT: "off" }), "git")
  })

  it("finds a commit that is packed, one without a branch, and those of linked worktrees and of submodules", () => {
    const path = repository()
    const first = git(path, "rev-parse", "HEAD")
    git(path, "pack-refs", "--all")
    assert.deepStrictEqual(of(path, undefined).git, { commit: first, branch: "feature/x" })
    git(path, "commit", "-q", "--allow-empty", "-m", "second")
    git(path, "worktree", "add", "-q", "-b", "side", join(folder, "side"), first)
    assert.deepStrictEqual(of(join(folder, "side"), undefined).git, { commit: first, branch: "side" })
    git(path, "checkout", "-q", "--detach", first)
    assert.deepStrictEqual(of(path, undefined).git, { commit: first })
    const outer = join(folder, "outer")
    mkdirSync(outer)
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", path, "inner")
    assert.strictEqual(of(join(outer, "inner"), undefined).git?.commit, git(join(outer, "inner"), "rev-parse", "HEAD"))
  })

  it("says nothing of a repository without a commit, and of one that cannot be read", () => {
    const empty = join(folder, "empty")
    mkdirSync(empty)
    git(empty, "init", "-q")
    assert.notProperty(of(empty, undefined), "git")
    const broken = join(folder, "broken")
    mkdirSync(join(broken, ".git", "HEAD"), { recursive: true })
    assert.notProperty(of(broken, undefined), "git")
    const elsewhere = join(folder, "elsewhere")
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, ".git"), "gitdir: ../gone\n")
    assert.notProperty(of(elsewhere, undefined), "git")
  })
})
