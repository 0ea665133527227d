/**
 * The agent of a folder, put together (docs/spec/agent.md): its lock, its socket and its address, the runs it delivers, and when it leaves.
 * Which backends there are comes from the composition root, `cli/src/agentMain.ts`.
 */
import { Journal, type JournalError } from "@tracelet/core/Journal"
import type { Policy } from "@tracelet/core/Retention"
import { RunId } from "@tracelet/core/Run"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import * as AgentAddress from "./AgentAddress.ts"
import * as AgentApi from "./AgentApi.ts"
import { AgentError } from "./AgentApi.ts"
import * as AgentLog from "./AgentLog.ts"
import * as AgentServer from "./AgentServer.ts"
import { Archivist } from "./Archivist.ts"
import { collectGarbage } from "./Memory.ts"
import { prune } from "./Pruning.ts"
import { RunKeeper, type Wiring } from "./RunKeeper.ts"
import { Secrets } from "./Secrets.ts"

export type { TargetsOf } from "./RunKeeper.ts"

/** How long it stays with nothing to do (A2). Shorter costs a start per trainer, longer keeps 65 MB for nobody. */
export const idleDefault = Duration.seconds(30)

/** How often it looks after its runs, and how much longer that takes with each of them: at most a hundredth of a core. */
const tendEveryMs = 250
const tendMsPerRun = 4

/** How long after the last work memory is given back: what backends keep open for the next run is closed by then. */
const collectAfterMs = 8_000

/** Runs that are taken at once: another process's lock is waited for for a moment. */
const takesMax = 8

export interface AgentOptions extends Wiring {
  /** The version of tracelet that it says it is. */
  readonly version: string
  readonly idle?: Duration.Duration
  /** Whether runs are archived once they are done (journal.md §11). Default true. */
  readonly archive?: boolean
  /** Which runs are removed (journal.md §12). Default: none. */
  readonly retention?: Policy
}

/** Why it ended. `another`: somebody else is this folder's agent on this host. `gone`: its folder, or its address in it, was removed. */
export type Ended = "another" | "idle" | "stopped" | "gone"

/**
 * Delivers the runs of the journal's folder until there is nothing to do, or it is told to stop. Interrupting it lets go of everything.
 * Fails when the folder may not be written or there is no place for the socket.
 */
export const run = (options: AgentOptions): Effect.Effect<Ended, AgentError | JournalError, Journal> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { folder, storage } = yield* Journal
      const files = AgentAddress.files(folder)
      // The folder itself is its trainer's to make: an agent that comes late must not bring it back.
      if (!existsSync(folder)) {
        return yield* new AgentError({ status: 0, message: `There is no folder ${folder}: start a run in it first.` })
      }
      yield* storage.makeFolder(files.folder)
      // Taken first, and so let go last: whoever finds it free finds neither address nor socket.
      if (!(yield* storage.lock(files.lock))) return "another"
      const secrets = new Secrets()
      return yield* deliver(options, secrets).pipe(
        Effect.provide(Logger.layer([AgentLog.make(files.log, secrets)])),
        // A span for each call costs more than most of the calls.
        Effect.provideService(References.TracerEnabled, false)
      )
    })
  )

const deliver = (options: AgentOptions, secrets: Secrets): Effect.Effect<Ended, AgentError, Journal | Scope.Scope> =>
  Effect.gen(function* () {
    const journal = yield* Journal
    const { folder, storage } = journal
    const startedAt = (yield* Clock.currentTimeMillis) / 1000
    const ended = yield* Deferred.make<Ended>()
    const scope = yield* Effect.scope
    const archivist = new Archivist(journal, scope)
    const isArchiving = options.archive ?? true
    const keeper = new RunKeeper(journal, options, secrets, scope, (id) =>
      isArchiving ? archivist.add(id) : Effect.void
    )
    const failed = Effect.mapError(({ message }: JournalError) => new AgentError({ status: 500, message }))
    const token = randomBytes(32).toString("hex")
    const address = yield* AgentAddress.socketPath(folder)
    yield* AgentServer.serve(address, token, {
      status: failed(
        Effect.map(keeper.runs, (runs) => ({
          version: AgentApi.version,
          tracelet: options.version,
          pid: process.pid,
          host: storage.host.name,
          dir: folder,
          startedAt,
          rssBytes: process.memoryUsage.rss(),
          runs
        }))
      ),
      run: (id) => (isRunId(id) ? failed(keeper.run(id)) : Effect.succeed(undefined)),
      announce: ({ run: id, secrets: given }) => failed(keeper.announce(id, given)),
      stop: Effect.asVoid(Deferred.succeed(ended, "stopped"))
    })
    yield* Effect.acquireRelease(
      AgentAddress.write(folder, {
        version: AgentApi.version,
        tracelet: options.version,
        pid: process.pid,
        address,
        token,
        startedAt
      }),
      () => AgentAddress.remove(folder)
    )
    yield* Effect.logInfo(`Agent ${options.version} of ${folder}, process ${process.pid}, listens at ${address}.`)
    yield* Effect.forkScoped(
      Stream.runForEach(
        Stream.mapEffect(keeper.finder.found, (id) => keeper.take(id), { concurrency: takesMax }),
        () => Effect.void
      )
    )
    yield* Effect.forkScoped(prune(journal, options.retention ?? {}, options.targetsOf))
    yield* Effect.forkScoped(
      Effect.flatMap(watch(keeper, archivist, folder, options.idle ?? idleDefault), (why) =>
        Deferred.succeed(ended, why)
      )
    )
    const why = yield* Deferred.await(ended)
    yield* Effect.logInfo(`Agent ${process.pid} leaves: ${why}.`)
    return why
  })

/** Returns when there is a reason to leave. */
const watch = (
  keeper: RunKeeper,
  archivist: Archivist,
  folder: string,
  idle: Duration.Duration
): Effect.Effect<Ended> =>
  Effect.gen(function* () {
    const { address } = AgentAddress.files(folder)
    let busyAt = yield* Clock.currentTimeMillis
    let workedAt: number | undefined
    for (;;) {
      yield* keeper.tend
      const now = yield* Clock.currentTimeMillis
      if (keeper.isWorking) workedAt = now
      else yield* archivist.next
      if (workedAt !== undefined && now - workedAt >= collectAfterMs) {
        workedAt = undefined
        yield* collectGarbage
      }
      if (keeper.isBusy) busyAt = now
      // Without its address nobody finds it, and with its lock nobody else can be found in its place.
      if (!existsSync(address)) return "gone"
      if (now - busyAt >= Duration.toMillis(idle)) return "idle"
      const pause = Math.max(tendEveryMs, tendMsPerRun * keeper.size)
      yield* Effect.sleep(Duration.millis(Math.min(pause, Math.max(10, busyAt + Duration.toMillis(idle) - now))))
    }
  })

const isRunId = Schema.is(RunId)
