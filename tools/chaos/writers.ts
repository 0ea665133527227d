/** Trainers and apps that log until they are told to end, each with a counter of what it was told is safe. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Children from "./children.ts"
import type { Finding, Logged } from "./expected.ts"
import type { Turn } from "./scenario.ts"

/** What a counter says (programs/trainer.py, programs/app.ts). */
export interface Count extends Logged {
  /** As far as the writer came to say it. */
  readonly run: string | undefined
}

export interface Writer extends Children.Child {
  readonly count: () => Count
  /** Returns with the first acknowledgement; with a finding when that is late, or it has ended before. */
  readonly first: Effect.Effect<Finding | undefined>
}

export interface Options {
  readonly name: string
  /** After as many calls it ends well; without, it goes on until it is killed. */
  readonly points?: number
  /** Seconds of sleep after every 64 calls of a trainer. */
  readonly pause?: number
  readonly env?: { readonly [name: string]: string }
}

const program = (file: string) => join(import.meta.dirname, "programs", file)

/** A busy machine needs half a second. */
const firstMsMax = 15_000
const lookMs = 1
const counterBytes = 64

const newCounter = (turn: Turn, name: string): string => {
  const file = join(turn.workFolder, `counter-${name}`)
  writeFileSync(file, Buffer.alloc(counterBytes))
  return file
}

/** `begunAt`: where the count of calls begun is; a trainer has none, since one call at most is under way. */
const readCounter = (file: string, begunAt?: number): Count => {
  const bytes = readFileSync(file)
  const id = bytes.toString("latin1", 8, 40)
  const acknowledged = Number(bytes.readBigUInt64LE(0))
  const begun = begunAt === undefined ? acknowledged + 1 : Number(bytes.readBigUInt64LE(begunAt))
  return { acknowledged, begun, run: /^[0-9a-f]{32}$/.test(id) ? id : undefined }
}

const toWriter = (child: Children.Child, count: () => Count): Writer => ({
  ...child,
  count,
  first: Effect.gen(function* () {
    const until = Date.now() + firstMsMax
    while (count().acknowledged === 0) {
      if (child.hasEnded()) {
        const { code, signal, stderr } = yield* child.ended
        return { _tag: "amiss", detail: `it ended before its first point: ${signal ?? code}, ${stderr}` } as const
      }
      if (Date.now() > until) return { _tag: "hang", detail: `no point within ${firstMsMax / 1000} s` } as const
      yield* Effect.sleep(lookMs)
    }
    return undefined
  })
})

const settings = ({ env, pause, points }: Options, folder: string) => ({
  TRACELET_DIR: folder,
  ...(points === undefined ? {} : { CHAOS_POINTS: String(points) }),
  ...(pause === undefined ? {} : { CHAOS_PAUSE: String(pause) }),
  ...env
})

/** A Python trainer; `wrap` is a program that starts it. */
export const trainer = (
  turn: Turn,
  options: Options,
  wrap: readonly [string, ...ReadonlyArray<string>] | readonly [] = []
): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.suspend(() => {
    const counter = newCounter(turn, options.name)
    const [first, ...rest]: readonly [string, ...ReadonlyArray<string>] = [
      ...wrap,
      turn.python,
      program("trainer.py"),
      counter,
      options.name
    ]
    const child = Children.start(first, rest, { cwd: turn.workFolder, env: settings(options, turn.folder) })
    return Effect.map(child, (started) => toWriter(started, () => readCounter(counter)))
  })

/** Where programs/app.ts says what it has begun. */
const begunAt = 40

/** An Effect app that delivers what it logs. */
export const app = (turn: Turn, options: Options): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.suspend(() => {
    const counter = newCounter(turn, options.name)
    const args = [turn.folder, counter, options.name]
    const child = Children.startNode(program("app.ts"), args, {
      cwd: turn.workFolder,
      env: settings(options, turn.folder)
    })
    return Effect.map(child, (started) => toWriter(started, () => readCounter(counter, begunAt)))
  })

interface Crowd extends Children.Child {
  readonly counts: () => ReadonlyArray<Count>
}

/** Many writers of one process group: `runs` of their own, or forked `writers` of one run. */
export const many = (
  turn: Turn,
  kind: "runs" | "writers",
  count: number,
  options: Options
): Effect.Effect<Crowd, never, Scope.Scope> =>
  Effect.suspend(() => {
    const counters = Array.from({ length: count }, (_, i) => newCounter(turn, `${options.name}-${i}`))
    const prefix = join(turn.workFolder, `counter-${options.name}`)
    const args = [program("many.py"), kind, prefix, String(count), options.name]
    const child = Children.start(turn.python, args, { cwd: turn.workFolder, env: settings(options, turn.folder) })
    return Effect.map(child, (started) => ({ ...started, counts: () => counters.map((file) => readCounter(file)) }))
  })

/** Kills a writer, waits until it is gone, and tells what it was told is safe. */
export const kill = (writer: Writer): Effect.Effect<Count> =>
  Effect.suspend(() => {
    writer.sendAll("SIGKILL")
    return Effect.map(writer.ended, () => writer.count())
  })

/** Waits for the end of a writer that has nothing more to do; anything but a good end is a finding. */
export const goodEnd = (writer: Children.Child, msMax: number): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.map(Effect.timeoutOption(writer.ended, msMax), (end): ReadonlyArray<Finding> => {
    if (end._tag === "None") return [{ _tag: "hang", detail: `it has not ended after ${msMax / 1000} s` }]
    const { code, signal, stderr } = end.value
    return code === 0 ? [] : [{ _tag: "amiss", detail: `it ended with ${signal ?? code}: ${stderr}` }]
  })
