/**
 * Something that answers as a folder's agent does (docs/spec/agent.md), with what a test gives it.
 */
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import * as AgentAddress from "@tracelet/bridge-python/AgentAddress"
import type { RunView } from "@tracelet/bridge-python/AgentApi"
import { now } from "./harness.ts"

export interface FakeAgent {
  /** Paths asked for, with their methods, in order. */
  readonly requests: Array<string>
}

/** `view` answers for a run; it is called at each request. */
export const start = (dir: string, view: (id: string) => RunView | undefined, ids: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const requests: Array<string> = []
    const address = join(dir, "agent.sock")
    const server = createServer((request, response) => {
      let body = ""
      request.on("data", (part: Buffer) => (body += part.toString()))
      request.on("end", () => {
        requests.push(`${request.method} ${request.url}`)
        const answer = answerTo(request.url ?? "", body)
        response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" })
        response.end(JSON.stringify(answer ?? { error: "no such run" }))
      })
    })
    const answerTo = (url: string, body: string) => {
      if (url !== "/v1/status") return view(url === "/v1/runs" ? JSON.parse(body).run : url.slice("/v1/runs/".length))
      return {
        version: 1,
        tracelet: "0.1.0",
        pid: 4_242,
        host: "here",
        dir,
        startedAt: now - 90,
        rssBytes: 65_000_000,
        runs: ids.map(view).filter((run) => run !== undefined)
      }
    }
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(address, () => resume(Effect.void))),
      () => Effect.sync(() => server.closeAllConnections() ?? server.close())
    )
    mkdirSync(AgentAddress.files(dir).folder, { recursive: true })
    yield* AgentAddress.write(dir, {
      version: 1,
      tracelet: "0.1.0",
      pid: 4_242,
      address,
      token: "ab".repeat(32),
      startedAt: now - 90
    })
    return { requests } satisfies FakeAgent
  })
