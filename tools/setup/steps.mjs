/**
 * Steps of a long command, shown while they run: one live line on a terminal, plain lines elsewhere (CI logs, pipes).
 * Plain JavaScript for Node 18, since it runs before the packages, and so before the pinned Node, are there.
 */
import { spawn } from "node:child_process"
import process from "node:process"

/** Shown of a failed child's output, in lines: its first (npm says first what is wrong) and its last (others say it then). */
const headLines = 8
const tailLines = 40
/** Without a terminal a silent step says every so often that it is alive. */
const plainReportMs = 20_000
const liveReportMs = 250

/** A step that failed in a way a person can act on. */
export class StepError extends Error {
  /** @param {string} message @param {{ output?: string, again?: string }} [details] */
  constructor(message, details = {}) {
    super(message)
    this.output = details.output ?? ""
    this.again = details.again ?? ""
  }
}

/** @param {number} ms */
export const showDuration = (ms) =>
  ms < 9_950
    ? `${(ms / 1000).toFixed(1)} s`
    : ms < 120_000
      ? `${Math.round(ms / 1000)} s`
      : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`

/** @param {string} text */
const clip = (text) => {
  // A pseudo-terminal without a size says 0.
  const width = Math.max(process.stdout.columns, 40) - 1
  return text.length > width ? `${text.slice(0, width - 1)}…` : text
}

const eraseLine = process.stdout.isTTY ? "\r\u001B[2K" : ""

/** Shows the heading of the step that runs now, if it has not been shown. */
let announce = () => {}

/**
 * Shows a line that stays: above the live one, or under the heading of its step.
 * @param {string} line
 */
export const say = (line) => {
  announce()
  console.log(`${eraseLine}${line}`)
}

/**
 * @typedef {(detail: string) => void} Report what a step is doing now
 * @param {ReadonlyArray<string>} plan the names of all steps, in order
 */
export const makeSteps = (plan) => {
  const isLive = process.stdout.isTTY
  /** @param {string} name */
  const labelOf = (name) => `[${plan.indexOf(name) + 1}/${plan.length}] ${name}`

  /**
   * Begins a step that shows its own output and ends with the command.
   * @param {string} name
   */
  const heading = (name) => console.log(labelOf(name))

  /**
   * Runs the step of that name. The text it resolves with is shown behind its time.
   * @param {string} name
   * @param {(report: Report) => Promise<string | undefined>} run
   */
  const step = async (name, run) => {
    const label = labelOf(name)
    const started = Date.now()
    let detail = ""
    let isAnnounced = false
    const progress = () => {
      const text = `${label} … ${showDuration(Date.now() - started)}${detail === "" ? "" : `  ${detail}`}`
      if (isLive) process.stdout.write(`${eraseLine}${clip(text)}`)
      else console.log(isAnnounced ? text : `${label} …`)
      isAnnounced = true
    }
    announce = () => {
      if (!isLive && !isAnnounced) progress()
    }
    /** @param {string} text */
    const finish = (text) => {
      announce = () => {}
      clearInterval(timer)
      clearTimeout(first)
      console.log(`${eraseLine}${label} … ${showDuration(Date.now() - started)}${text}`)
    }
    const timer = setInterval(progress, isLive ? liveReportMs : plainReportMs)
    const first = setTimeout(progress, isLive ? 0 : 1000)
    try {
      const note = await run((text) => (detail = text.trim()))
      finish(note === undefined ? "" : `  ${note}`)
    } catch (error) {
      finish("  failed")
      throw error
    }
  }
  return { heading, step }
}

/**
 * Ends a child's process group after a time, at a signal, or when this process ends; returns what calls that off.
 * @param {import("node:child_process").ChildProcess} child
 * @param {number} limitMs
 * @param {AbortSignal | undefined} abort
 * @param {() => void} onLimit
 */
const endWithUs = (child, limitMs, abort, onLimit) => {
  const end = () => {
    if (child.pid === undefined) return
    try {
      process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL")
    } catch {
      // It has ended by itself.
    }
  }
  /** @param {NodeJS.Signals} signal */
  const pass = (signal) => {
    end()
    process.exit(signal === "SIGINT" ? 130 : 143)
  }
  const timer = setTimeout(() => {
    onLimit()
    end()
  }, limitMs)
  process.on("SIGINT", pass).on("SIGTERM", pass)
  abort?.addEventListener("abort", end)
  return () => {
    clearTimeout(timer)
    abort?.removeEventListener("abort", end)
    process.off("SIGINT", pass).off("SIGTERM", pass)
  }
}

/**
 * Runs a program without standard input and resolves with what it wrote to standard output. Each line it writes,
 * wherever to, is reported. Fails with a `StepError` that holds the tail of its output. With `limitMs` the program and
 * whatever it started are ended after that time, when this process is, and when `signal` says so.
 * @param {string} program
 * @param {ReadonlyArray<string>} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, report?: Report, again?: string, shell?: boolean, limitMs?: number, signal?: AbortSignal }} [options]
 * @returns {Promise<string>}
 */
export const run = (program, args, options = {}) =>
  new Promise((resolve, reject) => {
    const again = options.again ?? [program, ...args].join(" ")
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      shell: options.shell ?? false,
      // A group of its own, so that the programs behind a shell can be ended with it.
      detached: options.limitMs !== undefined && process.platform !== "win32",
      stdio: ["ignore", "pipe", "pipe"]
    })
    let isLate = false
    const release =
      options.limitMs === undefined
        ? () => {}
        : endWithUs(child, options.limitMs, options.signal, () => (isLate = true))
    let stdout = ""
    /** @type {Array<string>} */
    const head = []
    /** @type {Array<string>} */
    let tail = []
    let isCut = false
    /** @param {string} chunk */
    const take = (chunk) => {
      const fresh = chunk.split(/[\r\n]+/).filter((line) => line.trim() !== "")
      const last = fresh.at(-1)
      head.push(...fresh.splice(0, headLines - head.length))
      isCut ||= tail.length + fresh.length > tailLines
      tail = [...tail, ...fresh].slice(-tailLines)
      if (last !== undefined) options.report?.(last)
    }
    child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
      stdout += chunk
      take(chunk)
    })
    child.stderr.setEncoding("utf8").on("data", take)
    child.on("error", (error) => reject(new StepError(`${program} did not start: ${error.message}`, { again })))
    child.on("close", (code, signal) => {
      release()
      if (code === 0) return resolve(stdout)
      const output = [...head, ...(isCut ? ["…"] : []), ...tail].join("\n")
      const how = isLate
        ? `was ended after ${showDuration(options.limitMs ?? 0)}`
        : signal === null
          ? `ended with code ${code}`
          : `was ended by ${signal}`
      return reject(new StepError(`${program} ${how}`, { output, again }))
    })
  })

/**
 * Runs `main`; a failure is shown with the tail of the output and the line to run again, and the exit code is 1.
 * @param {() => Promise<void>} main
 */
export const runMain = async (main) => {
  try {
    await main()
  } catch (error) {
    process.exitCode = 1
    if (!(error instanceof StepError)) {
      console.error(error)
      return
    }
    console.error([error.output, `\n${error.message}`].filter((text) => text !== "").join("\n"))
    if (error.again !== "") console.error(`To run it again: ${error.again}`)
  }
}
