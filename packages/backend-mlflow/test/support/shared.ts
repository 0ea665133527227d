/** The server that all test files of this package share; `globalSetup.ts` starts it at the first question. */
import { inject } from "vitest"
import { clientOf, type Server } from "./server.ts"

/** It is nobody's to kill: a test that wants to do that starts its own. */
export const shared = async (): Promise<Pick<Server, "uri" | "python">> => {
  const answer = await fetch(inject("sharedMlflow"))
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return { uri: text, python: clientOf(text) }
}
