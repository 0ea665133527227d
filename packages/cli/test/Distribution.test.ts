import { assert, it } from "@effect/vitest"
import * as Distribution from "@tracelet/cli/Distribution"
import { Backend } from "@tracelet/core/Backend"
import * as Journal from "@tracelet/core/Journal"
import * as Plugin from "@tracelet/core/Plugin"
import { RunId } from "@tracelet/core/Run"
import { runStarted, type BackendReference, type RunStarted } from "@tracelet/core/RunEvent"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe } from "vitest"

const id = RunId.make("r1")

const startedWith = (...backends: ReadonlyArray<BackendReference>): RunStarted => runStarted(id, { time: 1, backends })

const reference = (name: string, plugin: string, config: BackendReference["config"] = {}): BackendReference => ({
  name,
  plugin,
  version: "0.1.0",
  config
})

/** A backend that says when it is built and let go. */
const counting = (events: Array<string>) =>
  Plugin.make({
    id: "backend.counting",
    kind: "backend",
    version: "0.1.0",
    stability: "experimental",
    description: "Counts.",
    config: Schema.Struct({ url: Schema.String, key: Schema.optionalKey(Schema.RedactedFromValue(Schema.String)) }),
    layer: ({ url, key }) =>
      Layer.effect(
        Backend,
        Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => events.push(`built ${url}${key === undefined ? "" : " with a key"}`)),
            () => Effect.sync(() => events.push(`closed ${url}`))
          ),
          Backend.of({
            capabilities: {
              kinds: new Set(),
              identity: "point",
              limits: { points: 1, bytes: 1 },
              values: { nan: true, infinity: true, negativeZero: true },
              steps: { negative: true, repeated: true, late: true },
              degradations: []
            },
            open: () => Effect.never
          })
        )
      )
  })

/** A backend that cannot do without a key. */
const demanding = Plugin.make({
  id: "backend.demanding",
  kind: "backend",
  version: "0.1.0",
  stability: "experimental",
  description: "Wants a key.",
  config: Schema.Struct({ url: Schema.String, key: Schema.RedactedFromValue(Schema.NonEmptyString) }),
  environment: { url: ["DEMANDING_URL"], key: ["DEMANDING_KEY"] },
  address: "url",
  layer: () => Layer.effect(Backend, Effect.never)
})

const inEnvironment = (env: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env))

describe("a run's backend whose secret is not here", () => {
  const started = startedWith(
    reference("mine", "backend.demanding", { url: "http://host" }),
    reference("x", "backend.x")
  )

  it.effect("is held, and says which variable gives it; a config that is wrong beside that is an error", () =>
    Effect.gen(function* () {
      const { targetsOf } = yield* Distribution.make([demanding])
      const held = (yield* targetsOf(started)).get("mine")
      assert.deepInclude(held, { state: "held" })
      assert.include(JSON.stringify(held), "key may be given by DEMANDING_KEY or TRACELET_DEMANDING_KEY")
      const wrong = yield* targetsOf(startedWith(reference("mine", "backend.demanding", { url: 7 })))
      assert.deepInclude(wrong.get("mine"), { state: "error" })
    }).pipe(inEnvironment({}), Effect.scoped, Effect.provide(Journal.layerMemory))
  )

  it.effect("is handed on to who lacks it, by the backend's name in the run", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Distribution.credentialsFor(started, [demanding]), { mine: { key: "k" } })
      assert.deepStrictEqual(yield* Distribution.credentialsFor(started, []), {})
    }).pipe(inEnvironment({ DEMANDING_KEY: "k" }))
  )
})

describe("the targets of a run", () => {
  it.effect("are its backends by name; one that is not installed is missing, one with a bad config an error", () =>
    Effect.gen(function* () {
      const targets = yield* Distribution.targetsOf(
        startedWith(
          reference("local", "backend.local"),
          reference("wandb", "backend.wandb"),
          reference("second", "backend.local", { file: 7 })
        )
      )
      const local = targets.get("local")
      assert.isTrue(local !== undefined && "backend" in local)
      const wandb = targets.get("wandb")
      assert.deepInclude(wandb, { state: "missing" })
      assert.include(JSON.stringify(wandb), "backend.wandb")
      const second = targets.get("second")
      assert.deepInclude(second, { state: "error" })
      assert.include(JSON.stringify(second), "file")
      assert.deepStrictEqual([...targets.keys()], ["local", "wandb", "second"])
    }).pipe(Effect.scoped, Effect.provide(Journal.layerMemory))
  )

  it.effect("share a backend and its permits between runs of one config, and are closed with the host", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { targetsOf } = yield* Distribution.make([counting(events)])
          const one = yield* targetsOf(startedWith(reference("a", "backend.counting", { url: "x" })))
          const two = yield* targetsOf(startedWith(reference("b", "backend.counting", { url: "x" })))
          const [a, b] = [one.get("a"), two.get("b")]
          assert.isDefined(a)
          assert.strictEqual(a, b)
          yield* targetsOf(startedWith(reference("a", "backend.counting", { url: "y" })), {
            secrets: new Map([["a", { key: "k" }]])
          })
          assert.deepStrictEqual(events, ["built x", "built y with a key"])
        })
      )
      assert.sameMembers(events.slice(2), ["closed x", "closed y"])
    }).pipe(Effect.provide(Journal.layerMemory))
  )
})
