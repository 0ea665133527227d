/**
 * The journals in `protocol/golden`, written by Python, read by core: what comes out is what `expected.json` says (protocol/README.md). The
 * Python tests read the same files.
 */
import { assert, it } from "@effect/vitest"
import * as Journal from "@tracelet/core/Journal"
import { RunId } from "@tracelet/core/Run"
import type { RunEvent } from "@tracelet/core/RunEvent"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { temporaryFolder } from "./temporaryFolder.ts"

const golden = join(import.meta.dirname, "..", "protocol", "golden")

const Expected = Schema.fromJsonString(
  Schema.Struct({
    run: RunId,
    writers: Schema.Record(
      Schema.String,
      Schema.Struct({
        role: Schema.String,
        of: Schema.NullOr(Schema.String),
        gapBytes: Schema.Int,
        unknown: Schema.Int,
        damaged: Schema.Int,
        events: Schema.Array(Schema.Json)
      })
    )
  })
)

const kindByTag: { readonly [tag: string]: string } = {
  RunStarted: "runStarted",
  RunFinished: "runFinished",
  Heartbeat: "heartbeat",
  Params: "params",
  Tags: "tags",
  Text: "text",
  Media: "media",
  Artifact: "artifact",
  Console: "console",
  Renamed: "renamed",
  Derived: "derived"
}

const numberAsJson = (value: number): number | string =>
  Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value)

/** As `expected.json` writes it; a batch is as many points. */
const asJson = (event: RunEvent): ReadonlyArray<unknown> => {
  if (event._tag !== "PointBatch") {
    const { _tag, position, ...payload } = event
    return [{ position, index: 0, kind: kindByTag[_tag], payload }]
  }
  return Array.from({ length: event.count }, (_, i) => ({
    position: event.positions[i],
    index: event.indices[i],
    kind: "point",
    name: event.table.get(event.series[i] ?? -1)?.name,
    context: event.table.get(event.series[i] ?? -1)?.context,
    step: event.steps[i],
    value: numberAsJson(event.values[i] ?? NaN),
    time: numberAsJson(event.times[i] ?? NaN)
  }))
}

const total = <A>(items: Iterable<A>, count: (item: A) => number): number =>
  [...items].reduce((sum, item) => sum + count(item), 0)

describe("a golden journal", () => {
  for (const name of readdirSync(golden)) {
    // Small batches too, so that what is expected does not depend on where they are cut.
    for (const [points, from] of [
      [65_536, "segments"],
      [3, "segments"],
      [65_536, "an archive made now"],
      [3, "an archive made now"],
      [65_536, "an archive made by 0.1.0"]
    ] as const) {
      const how = from === "segments" ? "" : `J11.3: from ${from}, `
      it.effect(`${how}${name} reads as expected.json says, in batches of at most ${points}`, () =>
        Effect.gen(function* () {
          const expected = Schema.decodeUnknownSync(Expected)(readFileSync(join(golden, name, "expected.json"), "utf8"))
          const dir = yield* temporaryFolder
          mkdirSync(join(dir, "runs"))
          cpSync(join(golden, name), join(dir, "runs", expected.run), { recursive: true })
          if (from === "an archive made by 0.1.0") {
            const journal = join(dir, "runs", expected.run, "journal")
            rmSync(journal, { recursive: true })
            mkdirSync(journal)
            cpSync(join(golden, "../archives", `${name}.tla`), join(journal, "archive.0.tla"))
          }
          const read = Effect.gen(function* () {
            const run = yield* (yield* Journal.Journal).open(expected.run)
            if (from === "an archive made now") assert.isAbove((yield* run.archive).segments, 0)
            const writers = yield* run.writersNow
            const reader = yield* run.reader(new Map(), { points, bytes: 1_048_576 })
            const events = new Map<string, Array<unknown>>()
            for (let batch = yield* reader.next; batch !== undefined; batch = yield* reader.next) {
              const all = events.get(batch.writer) ?? []
              all.push(...batch.events.flatMap(asJson))
              events.set(batch.writer, all)
            }
            return { writers, events, losses: reader.losses(), isDrained: reader.isDrained() }
          })
          const { writers, events, losses, isDrained } = yield* Effect.provide(
            read,
            Layer.provide(Journal.layerFile({ dir }), NodePlatform.layer)
          )
          const wanted = Object.entries(expected.writers)
          assert.deepStrictEqual(
            writers.map(({ id, role, life, identity }) => ({ id, role, life, of: identity.of ?? null })),
            wanted.map(([id, { role, of }]) => ({ id, role, life: "over", of }))
          )
          for (const [id, writer] of wanted) {
            // By way of JSON, which has no undefined, and where a context's prototype does not matter.
            assert.deepStrictEqual(JSON.parse(JSON.stringify(events.get(id) ?? [])), writer.events)
          }
          assert.deepStrictEqual(losses, {
            gapBytes: total(wanted, ([, { gapBytes }]) => gapBytes),
            unknown: total(wanted, ([, { unknown }]) => unknown),
            damaged: total(wanted, ([, { damaged }]) => damaged)
          })
          assert.isTrue(isDrained)
        }).pipe(Effect.scoped)
      )
    }
  }
})
