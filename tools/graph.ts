/** Runs shell steps in their order, two at a time, and shows each one's time or its output. */
import { root } from "./setup/packages.mjs"
import { StepError, run, say, showDuration } from "./setup/steps.mjs"

export interface Step {
  readonly name: string
  /** A line for the shell, run in the root of the repository; it is also what a person runs again. */
  readonly command: string
  /** Names of the steps that come before: something they write is read here. */
  readonly after?: ReadonlyArray<string>
  /** Why this machine cannot run it. */
  readonly skip?: string | undefined
}

/** `not run`: the run stopped before. */
export type Outcome = "passed" | "failed" | "skipped" | "not run"

/** The line for a person, whose own shell knows neither the tools of this clone nor its Node. */
export const again = (command: string): string => {
  if (command.startsWith("cd ")) return command
  const [settings = ""] = /^(?:[A-Z]\w*=\S+ )*/.exec(command) ?? []
  return `${settings}npx ${command.slice(settings.length)}`
}

/** Two, since a laptop or a CI machine has that many cores free; more of them only slow each other down. */
const parallel = 2

/**
 * The longest step, the tests with their 10,000 histories, takes about five minutes on two free cores and fifteen on two that others work on
 * as well. A test that hangs should not hang the run.
 */
const stepLimitMs = 30 * 60_000

/** How often it is said what is still at work. */
const sayEveryMs = 60_000

/**
 * Steps start in the order of the list as soon as those they follow are through. After a failure, `stop` ends the others; `go on` runs all, those that follow the failed one too: a whole picture is worth a second error from one cause.
 */
export const runGraph = async (
  steps: ReadonlyArray<Step>,
  onFailure: "stop" | "go on"
): Promise<ReadonlyMap<string, Outcome>> => {
  const outcomes = new Map<string, Outcome>()
  const running = new Map<string, Promise<void>>()
  const stop = new AbortController()

  const start = async (step: Step) => {
    const started = Date.now()
    const took = () => showDuration(Date.now() - started)
    try {
      await run(step.command, [], { cwd: root, shell: true, limitMs: stepLimitMs, signal: stop.signal })
      outcomes.set(step.name, "passed")
      say(`  ✓ ${step.name} … ${took()}`)
    } catch (error) {
      if (!(error instanceof StepError)) throw error
      // Ended by the failure of another, which has been shown.
      if (stop.signal.aborted) return
      outcomes.set(step.name, "failed")
      if (onFailure === "stop") stop.abort()
      say(
        `\n  ✗ ${step.name} … ${took()}\n${error.output}\n  ${error.message}\n  To run it again: ${again(step.command)}\n`
      )
    } finally {
      running.delete(step.name)
    }
  }

  for (const { name, skip } of steps) {
    if (skip === undefined) continue
    outcomes.set(name, "skipped")
    say(`  - ${name} … skipped: ${skip}`)
  }

  const isReady = ({ after = [], name }: Step) =>
    !outcomes.has(name) && !running.has(name) && after.every((before) => outcomes.has(before))

  const startWhatFits = () => {
    while (!stop.signal.aborted && running.size < parallel) {
      const next = steps.find(isReady)
      if (next === undefined) break
      running.set(next.name, start(next))
    }
    return running.size
  }

  const began = Date.now()
  const news = setInterval(
    () => say(`    ${showDuration(Date.now() - began)}: at work on ${[...running.keys()].join(" and ")}`),
    sayEveryMs
  )
  while (startWhatFits() > 0) {
    // oxlint-disable-next-line no-await-in-loop -- a free place is what the next turn waits for
    await Promise.race(running.values())
  }
  clearInterval(news)
  for (const { name } of steps) if (!outcomes.has(name)) outcomes.set(name, "not run")
  return outcomes
}
