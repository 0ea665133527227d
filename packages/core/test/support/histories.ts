/**
 * Histories of one writer, generated from a seed: what was logged, the bytes that came of it, and what a reader must find after a part of
 * them was damaged. The oracle reads the undamaged bytes by itself, with journal.md beside it, and shares no code with the reader.
 */
import * as Effect from "effect/Effect"
import { makeMemory, type Memory } from "../../src/internal/memoryStorage.ts"
import { GroupWriter } from "../../src/internal/groupWriter.ts"
import type { RunEvent } from "../../src/RunEvent.ts"
import { RunId } from "../../src/Run.ts"

export const run = RunId.make("0123456789abcdef")
export const writer = "fedcba9876543210"
const folder = `memory/runs/${run}/journal`

/** Numbers in [0, 1) from a seed: mulberry32. */
export const random = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, below: (n: number) => Math.floor(next() * n) }
}

/** One record of the undamaged journal. */
interface Extent {
  readonly path: string
  /** File offsets, padding included. */
  readonly from: number
  readonly to: number
  readonly position: number
  readonly kind: number
  /** Series that it names (kind 3) or uses (kind 2). */
  readonly series: ReadonlyArray<number>
  /** As `describe` says it: one for each event in the record. */
  readonly events: ReadonlyArray<string>
}

export interface History {
  readonly memory: Memory
  readonly extents: ReadonlyArray<Extent>
  readonly paths: ReadonlyArray<string>
}

/** Writes a few hundred events in small groups, into segments of about 16 KiB. */
export const generate = Effect.fnUntraced(function* (seed: number) {
  const rng = random(seed)
  const memory = makeMemory()
  yield* memory.storage.makeFolder(folder)
  const group = new GroupWriter({
    storage: memory.storage,
    runFolder: `memory/runs/${run}`,
    role: "primary",
    identity: { run, writer, host: "h", boot: "b", pid: 1 },
    segmentLength: 4_096 + rng.below(24_576),
    salt: () => rng.below(2 ** 32),
    open: (path) =>
      Effect.map(Effect.scoped(memory.storage.openAppend(path)), (file) => ({ ...file, close: Effect.void }))
  })
  group.event({ _tag: "Heartbeat", time: 0 })
  for (let groups = 1 + rng.below(20); groups > 0; groups--) {
    for (let events = rng.below(60); events > 0; events--) {
      const dice = rng.next()
      if (dice < 0.9) {
        const series = group.define(`s${rng.below(5)}`, rng.next() < 0.3 ? { rank: rng.below(2) } : {})
        group.point(series, rng.below(1_000) - 500, rng.next() < 0.05 ? NaN : rng.next(), 1e9 + rng.next())
      } else if (dice < 0.95)
        group.event({ _tag: "Params", time: 1, params: { [`p${rng.below(9)}`]: "x".repeat(rng.below(900)) } })
      else group.event({ _tag: "Heartbeat", time: rng.next() })
    }
    yield* group.commit
  }
  const paths = [...memory.files.keys()].toSorted((a, b) => numberOf(a) - numberOf(b))
  return { memory, paths, extents: paths.flatMap((path) => walk(path, memory.files.get(path) ?? new Uint8Array())) }
})

const numberOf = (path: string): number => Number(/\.(\d+)\.tlj$/.exec(path)?.[1])

/** Every record of an undamaged segment, read by hand. */
const walk = (path: string, bytes: Uint8Array): ReadonlyArray<Extent> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const header = view.getUint32(12, true)
  const streamOffset = Number(view.getBigInt64(24, true))
  const extents: Array<Extent> = []
  for (let at = header; at < bytes.length;) {
    const length = view.getUint32(at, true)
    const kind = view.getUint32(at + 8, true)
    const to = at + 8 + Math.ceil(length / 8) * 8
    const position = streamOffset + at - header
    const payload = bytes.subarray(at + 12, at + 8 + length)
    const text = () => new TextDecoder().decode(payload)
    const series: Array<number> = []
    const events: Array<string> = []
    if (kind === 2) {
      const n = view.getUint32(at + 12, true)
      for (let i = 0; i < n; i++) {
        series.push(view.getUint32(at + 16 + 24 * n + 4 * i, true))
        const step = Number(view.getBigInt64(at + 16 + 8 * i, true))
        events.push(`point ${position}.${i} ${series[i]} ${step} ${view.getFloat64(at + 16 + 8 * (n + i), true)}`)
      }
    } else if (kind === 3) series.push(JSON.parse(text()).series)
    else if (kind >= 16) events.push(`event ${position} ${kind === 18 ? "Heartbeat" : "Params"}`)
    extents.push({ path, from: at, to, position, kind, series, events })
    at = to
  }
  return extents
}

/** What a reader found, in the same words. */
export const describe = (events: ReadonlyArray<RunEvent>): ReadonlyArray<string> =>
  events.flatMap((event) =>
    event._tag === "PointBatch"
      ? Array.from(
          event.values,
          (value, i) => `point ${event.positions[i]}.${event.indices[i]} ${event.series[i]} ${event.steps[i]} ${value}`
        )
      : [`event ${event.position} ${event._tag}`]
  )

/** Ranges of bytes that are no longer what they were. */
export interface Damage {
  readonly path: string
  readonly from: number
  readonly to: number
}

/** What must be read when these ranges are damaged and the writer is over. */
export const survivors = ({ memory, extents }: History, damages: ReadonlyArray<Damage>): ReadonlyArray<string> => {
  const isHit = (path: string, from: number, to: number) =>
    damages.some((damage) => damage.path === path && damage.from < to && from < damage.to)
  const headerIsHit = new Map<string, boolean>()
  for (const path of memory.files.keys()) {
    const first = extents.find((extent) => extent.path === path)
    headerIsHit.set(path, isHit(path, 0, first?.from ?? 64))
  }
  const named = new Map<string, Set<number>>()
  const found: Array<string> = []
  for (const extent of extents) {
    // The padding behind a record is not covered by its checksum: a record is hit when its own bytes are.
    const used = extent.to - (extent.to - extent.from > 16 ? paddingOf(memory, extent) : 0)
    if (headerIsHit.get(extent.path) === true || isHit(extent.path, extent.from, used)) continue
    const known = named.get(extent.path) ?? new Set<number>()
    named.set(extent.path, known)
    if (extent.kind === 3) extent.series.forEach((series) => known.add(series))
    for (const [i, event] of extent.events.entries()) {
      const series = extent.series[i]
      if (series === undefined || known.has(series)) found.push(event)
    }
  }
  return found
}

const paddingOf = (memory: Memory, extent: Extent): number => {
  const bytes = memory.files.get(extent.path) ?? new Uint8Array()
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(extent.from, true)
  return extent.to - extent.from - 8 - length
}

/** Damages some of the bytes in place, and says which are not what they were. */
export const damage = (history: History, seed: number): ReadonlyArray<Damage> => {
  const rng = random(seed ^ 0x5bd1e995)
  const damages: Array<Damage> = []
  const before = new Map([...history.memory.files].map(([path, bytes]) => [path, bytes.slice()]))
  const touch = (path: string, from: number, to: number, f: (bytes: Uint8Array) => void) => {
    const bytes = before.get(path)?.slice()
    if (bytes === undefined) return
    f(bytes)
    before.set(path, bytes)
    damages.push({ path, from, to: Math.min(to, bytes.length) })
  }
  const anyPath = () => history.paths[rng.below(history.paths.length)] ?? ""
  for (let n = rng.below(4); n > 0; n--) {
    const path = anyPath()
    const length = before.get(path)?.length ?? 0
    const dice = rng.below(4)
    if (dice === 0) {
      const page = 4_096 * rng.below(Math.ceil(length / 4_096))
      touch(path, page, page + 4_096, (bytes) => bytes.fill(0, page, page + 4_096))
    } else if (dice === 1) {
      const at = rng.below(length)
      touch(path, at, at + 1, (bytes) => void (bytes[at] = (bytes[at] ?? 0) ^ (1 << rng.below(8))))
    } else if (dice === 2) {
      const at = rng.below(length)
      const end = at + rng.below(600)
      touch(path, at, end, (bytes) => {
        for (let i = at; i < Math.min(end, bytes.length); i++) bytes[i] = rng.below(256)
      })
    } else {
      // A foreign piece of a journal, at a place of its own alignment: whole records that belong elsewhere.
      const source = before.get(anyPath()) ?? new Uint8Array()
      const from = 8 * rng.below(Math.floor(source.length / 8))
      const piece = source.slice(from, from + 8 * (1 + rng.below(64)))
      const at = 8 * rng.below(Math.floor(length / 8))
      touch(path, at, at + piece.length, (bytes) => bytes.set(piece.subarray(0, bytes.length - at), at))
    }
  }
  // A torn end: bytes that were never written, in the last segment.
  const last = history.paths.at(-1)
  if (last !== undefined && rng.next() < 0.7) {
    const bytes = before.get(last) ?? new Uint8Array()
    const end = rng.below(bytes.length)
    damages.push({ path: last, from: end, to: Number.MAX_SAFE_INTEGER })
    before.set(last, bytes.slice(0, end))
  }
  // What was overwritten with the same bytes is no damage: the oracle looks at each range byte by byte.
  const changed = damages.flatMap(({ path, from, to }) => {
    const was = history.memory.files.get(path) ?? new Uint8Array()
    const is = before.get(path) ?? new Uint8Array()
    const ranges: Array<Damage> = []
    for (let i = from; i < Math.min(to, was.length); i++)
      if (was[i] !== is[i]) ranges.push({ path, from: i, to: i + 1 })
    return ranges
  })
  before.forEach((bytes, path) => history.memory.files.set(path, bytes))
  return changed
}
