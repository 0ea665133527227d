/**
 * Talks to the agent of a folder on this host, for the command line and for tests. A trainer has its own client, in Python.
 *
 * `node:http` and not Effect's client: nothing else speaks HTTP over a Unix socket without a dependency.
 */
import type { RunId } from "@tracelet/core/Run"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { request } from "node:http"
import { resolve } from "node:path"
import * as AgentAddress from "./AgentAddress.ts"
import { AgentError, AgentNotRunning, AgentStatus, bodyBytesMax, Refusal, RunView } from "./AgentApi.ts"

/** Longest wait for an answer. */
const answerMsMax = 10_000

export type AgentFailure = AgentNotRunning | AgentError

/** Secrets by the backend's name in the run, then by the key of its config. */
export interface AnnounceOptions {
  readonly secrets?: { readonly [backend: string]: { readonly [key: string]: string } }
}

export interface AgentClient {
  /** As the agent's file says it; whether the agent still listens shows the first request. */
  readonly address: AgentAddress.Address
  readonly status: Effect.Effect<AgentStatus, AgentFailure>
  /** `undefined` when the agent does not deliver that run. */
  readonly run: (id: RunId) => Effect.Effect<RunView | undefined, AgentFailure>
  /** Has the agent look at the run now, and hands it secrets; `undefined` when there is no such run. */
  readonly announce: (id: RunId, options?: AnnounceOptions) => Effect.Effect<RunView | undefined, AgentFailure>
  /** Asks the agent to leave. It answers before it has. */
  readonly stop: Effect.Effect<void, AgentFailure>
}

/** The agent that listens for `folder` on this host. Fails with `AgentNotRunning` when none has left its address there. */
export const find = (folder: string): Effect.Effect<AgentClient, AgentNotRunning> => {
  const dir = resolve(folder)
  return Effect.flatMap(AgentAddress.read(dir), (address) =>
    address === undefined ? Effect.fail(notRunning(dir)) : Effect.succeed(make(dir, address))
  )
}

const make = (folder: string, address: AgentAddress.Address): AgentClient => {
  const ask = (method: string, path: string, body?: unknown) => exchange(folder, address, method, path, body)
  const runOf = (answer: Answer) =>
    answer.status === 404 ? Effect.succeed(undefined) : decoded(decodeRun, answer, 200)
  return {
    address,
    status: Effect.flatMap(ask("GET", "/v1/status"), (answer) => decoded(decodeStatus, answer, 200)),
    run: (id) => Effect.flatMap(ask("GET", `/v1/runs/${id}`), runOf),
    announce: (id, options) => Effect.flatMap(ask("POST", "/v1/runs", { run: id, ...options }), runOf),
    stop: Effect.flatMap(ask("POST", "/v1/stop"), (answer) => (answer.status === 202 ? Effect.void : refused(answer)))
  }
}

const notRunning = (folder: string): AgentNotRunning =>
  new AgentNotRunning({ folder, message: `No agent is running for ${folder} on this host.` })

const decodeRun = Schema.decodeUnknownResult(Schema.fromJsonString(RunView))
const decodeStatus = Schema.decodeUnknownResult(Schema.fromJsonString(AgentStatus))
const decodeRefusal = Schema.decodeUnknownResult(Schema.fromJsonString(Refusal))

interface Answer {
  readonly status: number
  readonly text: string
}

const decoded = <A>(
  decode: (text: string) => Result.Result<A, { readonly message: string }>,
  answer: Answer,
  expected: number
): Effect.Effect<A, AgentError> => {
  if (answer.status !== expected) return refused(answer)
  const result = decode(answer.text)
  if (Result.isSuccess(result)) return Effect.succeed(result.success)
  const message = `The agent's answer is not what version 1 of its protocol says: ${result.failure.message}`
  return Effect.fail(new AgentError({ status: answer.status, message }))
}

const refused = ({ status, text }: Answer): Effect.Effect<never, AgentError> => {
  const refusal = decodeRefusal(text)
  const reason = Result.isSuccess(refusal) ? `: ${refusal.success.error}` : ""
  return Effect.fail(new AgentError({ status, message: `The agent answered ${status}${reason}` }))
}

/** One request on a connection of its own; interrupting it ends the connection. */
const exchange = (
  folder: string,
  { address, token }: AgentAddress.Address,
  method: string,
  path: string,
  body: unknown
): Effect.Effect<Answer, AgentFailure> =>
  Effect.callback<Answer, AgentFailure>((resume) => {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const fail = (message: string) => resume(Effect.fail(new AgentError({ status: 0, message })))
    const sent = request(
      {
        socketPath: address,
        method,
        path,
        agent: false,
        timeout: answerMsMax,
        headers: {
          authorization: `Bearer ${token}`,
          ...(payload === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) })
        }
      },
      (response) => {
        const parts: Array<Buffer> = []
        let bytes = 0
        response.on("data", (part: Buffer) => {
          bytes += part.length
          // A status of very many runs may be longer than a request's body; 64 of them is no status.
          if (bytes > 64 * bodyBytesMax) sent.destroy(new Error("the answer is too long"))
          else parts.push(part)
        })
        response.on("end", () => {
          const status = response.statusCode ?? 0
          resume(Effect.succeed({ status, text: Buffer.concat(parts).toString("utf8") }))
        })
        response.on("error", (error) => fail(`The agent's answer broke off: ${error.message}`))
      }
    )
    sent.on("timeout", () => sent.destroy(new Error(`no answer within ${answerMsMax / 1000} s`)))
    sent.on("error", (error: NodeJS.ErrnoException) => {
      // The file of an agent that was killed stays behind, and so may its socket.
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resume(Effect.fail(notRunning(folder)))
      else fail(`Could not talk to the agent at ${address}: ${error.message}`)
    })
    sent.end(payload)
    return Effect.sync(() => sent.destroy())
  })
