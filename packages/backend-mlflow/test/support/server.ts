/**
 * A real MLflow server of the environment that `npm run setup:mlflow` makes, on a free port, with everything it keeps in a temporary folder.
 * It can be killed and started again on the same port and data. Reading back is MLflow's own Python client's.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { isMlflowInstalled, mlflowPython } from "../../../../tools/setup/mlflow.ts"

/** Whether there is a server to start; where there is none, tests of it are skipped. */
export const isInstalled: boolean = isMlflowInstalled()

/** 8 to 14 s on a quiet machine, 17 to 39 s on a busy one (seen on MLflow 3.18.0, 2 cores). */
const startMsMax = 120_000
const lookEveryMs = 100

export interface Options {
  /** Switches basic authentication on, with this password for the user `admin`. */
  readonly adminPassword?: string
  /** For `mlflow server`, after those that are always given. */
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

export interface Server {
  /** Without a slash at its end. */
  readonly uri: string
  /** What it keeps: `mlflow.db`, `artifacts`, and its log in `server.log`. */
  readonly folder: string
  /** Ends it with all its workers, as a power cut would. */
  readonly kill: () => Promise<void>
  /** Starts it again with the same port and data, once it was killed; resolves when it answers. */
  readonly restart: () => Promise<void>
  /** Ends it and removes what it kept. */
  readonly stop: () => Promise<void>
  /** Runs a Python program with MLflow's client set to this server, and resolves with the JSON that it prints last. */
  readonly python: (program: string, ...args: ReadonlyArray<string>) => Promise<unknown>
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const environment = ({ adminPassword, env }: Options): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MLFLOW_"))),
  MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false",
  MLFLOW_DISABLE_TELEMETRY: "true",
  ...(adminPassword === undefined
    ? {}
    : { MLFLOW_FLASK_SERVER_SECRET_KEY: "tests", MLFLOW_AUTH_ADMIN_PASSWORD: adminPassword }),
  ...env
})

const killGroup = (child: ChildProcess): void => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}

/** Runs programs of Python with MLflow's client set to a server. */
export const clientOf =
  (uri: string, adminPassword?: string): Server["python"] =>
  (program, ...args) =>
    new Promise((resolve, reject) => {
      const credentials =
        adminPassword === undefined
          ? {}
          : { MLFLOW_TRACKING_USERNAME: "admin", MLFLOW_TRACKING_PASSWORD: adminPassword }
      execFile(
        mlflowPython,
        ["-c", program, ...args],
        { env: { ...environment({}), MLFLOW_TRACKING_URI: uri, ...credentials }, maxBuffer: 2 ** 30 },
        (error, stdout, stderr) => {
          if (error !== null) return reject(new Error(`${error.message}\n${stderr}`))
          return resolve(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "null"))
        }
      )
    })

export const start = async (options: Options = {}): Promise<Server> => {
  const folder = mkdtempSync(join(tmpdir(), "tracelet-mlflow-"))
  const port = await freePort()
  const uri = `http://127.0.0.1:${port}`
  const log = join(folder, "server.log")
  const env = environment(options)
  let child: ChildProcess | undefined
  const endWithUs = () => void (child !== undefined && killGroup(child))
  process.once("exit", endWithUs)

  const launch = async (): Promise<void> => {
    const output = openSync(log, "a")
    const started = spawn(
      mlflowPython,
      [
        "-m",
        "mlflow",
        "server",
        "--host=127.0.0.1",
        `--port=${port}`,
        "--workers=1",
        `--backend-store-uri=sqlite:///${join(folder, "mlflow.db")}`,
        `--artifacts-destination=${join(folder, "artifacts")}`,
        ...(options.adminPassword === undefined ? [] : ["--app-name=basic-auth"]),
        ...(options.args ?? [])
      ],
      // A group of its own, so that its workers end with it; and there it writes `basic_auth.db`.
      { cwd: folder, env, detached: true, stdio: ["ignore", output, output] }
    )
    closeSync(output)
    child = started
    const until = Date.now() + startMsMax
    while (Date.now() < until && started.exitCode === null) {
      const answer = await fetch(`${uri}/health`).catch(() => undefined)
      if (answer?.ok === true) return
      await wait(lookEveryMs)
    }
    killGroup(started)
    throw new Error(`The MLflow server did not start:\n${readFileSync(log, "utf8").slice(-4000)}`)
  }

  const kill = async (): Promise<void> => {
    const ended = child
    child = undefined
    if (ended === undefined) return
    const closed = ended.exitCode === null ? new Promise((resolve) => ended.once("exit", resolve)) : undefined
    killGroup(ended)
    await closed
  }

  const stop = async (): Promise<void> => {
    process.off("exit", endWithUs)
    await kill()
    rmSync(folder, { recursive: true, force: true })
  }

  await launch().catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return { uri, folder, kill, restart: launch, stop, python: clientOf(uri, options.adminPassword) }
}
