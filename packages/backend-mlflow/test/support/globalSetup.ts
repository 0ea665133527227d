/**
 * One server for all test files of this package: started when the first of them asks, ended after the last (`shared.ts` asks).
 * The server belongs to vitest's own process, and tests run in others, so they ask over a socket.
 */
import { createServer } from "node:http"
import type { TestProject } from "vitest/node"
import { start, type Server } from "./server.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** Answers with the URI of the shared server. */
    readonly sharedMlflow: string
  }
}

export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  let server: Promise<Server> | undefined
  const asked = createServer((_request, response) => {
    server ??= start()
    server.then(
      ({ uri }) => response.end(uri),
      (error: unknown) => response.writeHead(500).end(String(error))
    )
  })
  await new Promise<void>((resolve) => asked.listen(0, "127.0.0.1", resolve))
  const address = asked.address()
  project.provide("sharedMlflow", `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`)
  return async () => {
    asked.close()
    await (await server)?.stop()
  }
}
