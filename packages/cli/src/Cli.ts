/**
 * The command `tracelet`: its subcommands, and what becomes of their failures. `effect/cli` would print its usage on stdout and exit 1;
 * here wrong usage is one line on stderr and exit 2, as every failure is one line, or one object with `--json`.
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import { describe, type Description, type ExitCode, toLine, Unfinished } from "./Failure.ts"
import * as Frame from "./Frame.ts"
import * as Json from "./Json.ts"
import type * as Output from "./Output.ts"
import { Session } from "./Session.ts"
import * as Text from "./Text.ts"
import { version } from "./Version.ts"
import * as Agent from "./commands/Agent.ts"
import * as Archive from "./commands/Archive.ts"
import * as Artifacts from "./commands/Artifacts.ts"
import * as Backends from "./commands/Backends.ts"
import * as Compare from "./commands/Compare.ts"
import * as DeadLetter from "./commands/DeadLetter.ts"
import * as Doctor from "./commands/Doctor.ts"
import * as Export from "./commands/Export.ts"
import * as Prune from "./commands/Prune.ts"
import * as Rename from "./commands/Rename.ts"
import * as Rm from "./commands/Rm.ts"
import * as Runs from "./commands/Runs.ts"
import * as Show from "./commands/Show.ts"
import * as Status from "./commands/Status.ts"
import * as Sync from "./commands/Sync.ts"
import * as Tag from "./commands/Tag.ts"

/** The built-in one names every shell in every help. */
const completions = GlobalFlag.Action({
  flag: Flag.Literals("completions", ["bash", "zsh", "fish"]).pipe(
    Flag.withMetavar("SHELL"),
    Flag.withDescription("Print the completion script for a shell"),
    Flag.optional
  ),
  run: (shell, { command }) =>
    Option.match(shell, {
      onNone: () => Effect.void,
      onSome: (name) => Console.log(Completions.generate(command.name, name, Completions.fromCommand(command)))
    })
})

export const root = Command.make("tracelet").pipe(
  Command.withDescription("Look at what machine-learning runs logged, and deliver it where it should go."),
  Command.withExamples([
    { command: "tracelet runs", description: "What ran, where it went, what is still on its way" },
    { command: "tracelet show baseline", description: "Params, summary and charts of the newest run of that name" },
    { command: "tracelet sync", description: "Deliver now what is pending" }
  ]),
  Command.withSubcommands([
    Runs.command,
    Show.command,
    Compare.command,
    Status.command,
    Sync.command,
    Export.command,
    Artifacts.command,
    Tag.command,
    Rename.command,
    Rm.command,
    DeadLetter.command,
    Archive.command,
    Prune.command,
    Agent.command,
    Backends.command,
    Doctor.command
  ]),
  Command.withGlobalFlags([Frame.Dir, Frame.AsJson, completions])
)

/** `effect/cli` asks for a platform; what is used of it here is nothing. */
const platform = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      size: Effect.die("tracelet asks nothing"),
      readInput: Effect.die("tracelet asks nothing"),
      readLine: Effect.die("tracelet asks nothing"),
      display: () => Effect.void
    })
  ),
  Layer.succeed(
    ChildProcessSpawner.ChildProcessSpawner,
    ChildProcessSpawner.make(() => Effect.die("tracelet asks for no process this way"))
  ),
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version] })
)

/** Help and version, by this session's streams. Of wrong usage the failure says all there is. */
const presenter = (session: Session["Service"]) => {
  const formatter = CliOutput.defaultFormatter({ colors: session.paint.bold("x") !== "x" })
  return CliOutput.layerPresenter({
    present: (event) => {
      switch (event._tag) {
        case "Help":
          return session.out(`${spaced(formatter.formatHelpDoc(event.helpDoc))}\n`)
        case "Version":
          return session.out(`${event.name} ${event.version}\n`)
        case "InvalidInvocation":
          return Effect.void
      }
    }
  })
}

/** The formatter forgets the empty line between subcommands and examples. */
const spaced = (help: string): string =>
  // oxlint-disable-next-line no-control-regex
  help.replace(/([^\n])\n((?:\u001b\[\d+m)*EXAMPLES)/, "$1\n\n$2")

/** What lanes warn of goes to stderr, a line each: stdout is for answers. */
const warnings = (session: Session["Service"]) =>
  Logger.layer([
    Logger.make(({ message }) => {
      const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
      Effect.runFork(session.err(`tracelet: ${Text.printable(text)}\n`))
    })
  ])

/** Runs the command line and answers with the exit code. Never fails: what went wrong has been said. */
export const run = (args: ReadonlyArray<string>): Effect.Effect<ExitCode, never, Session> =>
  Effect.gen(function* () {
    const session = yield* Session
    const exit = yield* Effect.exit(
      Command.runWith(root, { version })(args).pipe(Effect.provide([platform, presenter(session), warnings(session)]))
    )
    if (Exit.isSuccess(exit)) return 0
    if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
    const error = Cause.squash(exit.cause)
    if (error instanceof Unfinished) return error.exitCode
    if (error instanceof CliError.ShowHelp && error.errors.length === 0) return 0
    const failure = error instanceof CliError.ShowHelp ? wrongUsage(error) : describe(error)
    yield* session.err(`${toLine(failure)}\n`)
    if (args.includes("--json")) yield* session.out(`${Json.stringify(toOutput(failure), 2)}\n`)
    return failure.exitCode
  })

const toOutput = ({ tag, message, hint }: Description): Output.Failure => ({ error: { tag, message, hint } })

const wrongUsage = ({ commandPath, errors }: CliError.ShowHelp): Description => ({
  tag: errors[0]?._tag ?? "UsageError",
  message: errors.map(({ message }) => message.replace(/\s*\n\s*/g, " ").trim()).join("; "),
  hint: `\`${commandPath.join(" ")} --help\` shows how it is used.`,
  exitCode: 2
})
