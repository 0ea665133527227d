import { assert, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import * as Plugin from "../src/Plugin.ts"

class Got extends Context.Service<Got, Config>()("test/Got") {}

const secret = Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString))

const Config = Schema.Struct({
  url: Schema.URLFromString.pipe(Schema.annotateKey({ description: "Where it is." })),
  group: Schema.optionalKey(Schema.String),
  groupId: Schema.optionalKey(Schema.String),
  username: Schema.optionalKey(Schema.String),
  password: secret,
  token: secret,
  isLax: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  timeout: Schema.DurationFromString.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1 minute"))),
  size: Schema.optionalKey(Schema.Int)
})
interface Config extends Schema.Schema.Type<typeof Config> {}

const manifest = {
  id: "backend.service",
  kind: "backend",
  version: "0.1.0",
  stability: "experimental",
  description: "Sends nothing."
} as const

const service = Plugin.make({
  ...manifest,
  config: Config,
  environment: {
    url: ["SERVICE_URI", "SERVICE_URL"],
    group: ["SERVICE_GROUP"],
    groupId: ["SERVICE_GROUP_ID"],
    username: ["SERVICE_USER"],
    password: ["SERVICE_PASSWORD"],
    token: ["SERVICE_TOKEN"],
    isLax: ["SERVICE_LAX"],
    timeout: { names: ["SERVICE_TIMEOUT"], unit: "seconds" },
    size: []
  },
  address: "url",
  credential: "token",
  alternatives: [
    [["group"], ["groupId"]],
    [["username", "password"], ["token"]]
  ],
  layer: (config) => Layer.succeed(Got, config)
})

const demanding = Plugin.make({
  ...manifest,
  config: Schema.Struct({ key: Schema.RedactedFromValue(Schema.NonEmptyString), size: Schema.optionalKey(Schema.Int) }),
  environment: { key: ["SERVICE_KEY"], size: ["SERVICE_SIZE"] },
  layer: () => Layer.empty
})

const inEnvironment =
  (env: Record<string, string>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env))

const configOf = <E>(plugin: Plugin.ConfiguredPlugin<Got, E, never>) =>
  Effect.scoped(Effect.map(Layer.build(plugin.layer), (context) => Context.get(context, Got)))

const secretsOf = ({ username, password, token }: Config) => [
  username,
  password === undefined ? undefined : Redacted.value(password),
  token === undefined ? undefined : Redacted.value(token)
]

describe("the config of a plugin in an app", () => {
  it.effect("takes what it is not given from the environment, as the kinds that its keys have", () =>
    Effect.gen(function* () {
      const config = yield* configOf(service.plugin({ group: "mine" }))
      assert.strictEqual(config.url.href, "http://host/")
      assert.strictEqual(config.group, "mine")
      assert.deepStrictEqual([config.isLax, config.size], [true, 7])
      assert.deepStrictEqual(config.timeout, yield* Schema.decodeEffect(Schema.DurationFromString)("90 seconds"))
    }).pipe(
      inEnvironment({
        SERVICE_URL: "http://host",
        SERVICE_GROUP: "theirs",
        SERVICE_LAX: "TRUE",
        SERVICE_TIMEOUT: "90",
        TRACELET_SERVICE_SIZE: "7"
      })
    )
  )

  it.effect(
    "prefers the name of its own to what every backend has, and that to the service's, in order; empty is not set",
    () =>
      Effect.gen(function* () {
        const host = (env: Record<string, string>) =>
          Effect.map(inEnvironment(env)(configOf(service.plugin())), ({ url }) => url.host)
        const all = {
          TRACELET_SERVICE_URL: "http://a",
          TRACELET_BACKEND_URL: "http://b",
          SERVICE_URI: "http://c",
          SERVICE_URL: "http://d"
        }
        assert.strictEqual(yield* host(all), "a")
        assert.strictEqual(yield* host({ ...all, TRACELET_SERVICE_URL: "" }), "b")
        assert.strictEqual(yield* host({ SERVICE_URI: "http://c", SERVICE_URL: "http://d" }), "c")
      })
  )

  it.effect("takes no other way to say what was said", () =>
    Effect.gen(function* () {
      const env = inEnvironment({ SERVICE_GROUP_ID: "7", SERVICE_TOKEN: "t", SERVICE_PASSWORD: "p", SERVICE_USER: "u" })
      const mine = yield* env(configOf(service.plugin({ url: "http://host", group: "g", token: "mine" })))
      assert.deepStrictEqual([mine.groupId, ...secretsOf(mine)], [undefined, undefined, undefined, "mine"])
      const half = yield* env(configOf(service.plugin({ url: "http://host", username: "me" })))
      assert.deepStrictEqual(secretsOf(half), ["me", "p", undefined])
    })
  )

  it.effect("takes the user and the password out of the address", () =>
    Effect.gen(function* () {
      const plugin = service.plugin({ url: "https://me%40home:p@ss:w%2Frd@host/path" })
      const config = yield* configOf(plugin)
      assert.strictEqual(config.url.href, "https://host/path")
      assert.deepStrictEqual(secretsOf(config), ["me@home", "p@ss:w/rd", undefined])
      // What stands before the @ may be a token, so nothing of it is recorded.
      assert.deepStrictEqual(yield* plugin.recorded, { url: "https://host/path" })
    }).pipe(inEnvironment({}))
  )

  it.effect("records what leads another host to the same service, and no secret", () =>
    Effect.gen(function* () {
      const recorded = yield* service.plugin({ size: 1 }).recorded
      assert.deepStrictEqual(recorded, { size: 1, url: "http://host", group: "g", username: "u", isLax: false })
      const config = yield* inEnvironment({ SERVICE_PASSWORD: "p" })(configOf(service.fromUnknown(recorded)))
      assert.deepStrictEqual([config.url.host, config.group, ...secretsOf(config)], ["host", "g", "u", "p", undefined])
    }).pipe(
      inEnvironment({
        SERVICE_URI: "http://host",
        SERVICE_GROUP: "g",
        SERVICE_USER: "u",
        SERVICE_PASSWORD: "geheim",
        SERVICE_LAX: "no"
      })
    )
  )
})

describe("a config that was recorded", () => {
  it.effect("takes credentials alone from the environment of whoever delivers", () =>
    Effect.gen(function* () {
      const config = yield* configOf(service.fromUnknown({ url: "http://host" }))
      assert.deepStrictEqual([config.group, ...secretsOf(config)], [undefined, "u", "p", "t"])
    }).pipe(inEnvironment({ SERVICE_GROUP: "g", SERVICE_USER: "u", SERVICE_PASSWORD: "p", SERVICE_TOKEN: "t" }))
  )

  it.effect("lists what this environment has for it, so that it can be handed on", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* service.credentialsFor({ url: "http://host" }), { token: "t" })
      assert.deepStrictEqual(yield* service.credentialsFor({ url: "http://host", username: "u" }), {})
    }).pipe(inEnvironment({ SERVICE_GROUP: "g", SERVICE_TOKEN: "t" }))
  )

  it.effect("takes none where the environment names another server: a secret is for one", () =>
    Effect.gen(function* () {
      const tokenAt = (url: string) =>
        Effect.map(configOf(service.fromUnknown({ url })), (config) => secretsOf(config)[2])
      assert.strictEqual(yield* tokenAt("http://host"), "t")
      assert.strictEqual(yield* tokenAt("http://elsewhere"), undefined)
    }).pipe(inEnvironment({ SERVICE_URI: "http://HOST/", SERVICE_TOKEN: "t" }))
  )

  it.effect("is given no public key even where it is wanted, and the refusal does not promise it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(configOf(service.fromUnknown({})))
      assert.isTrue(error instanceof Plugin.PluginConfigError)
      assert.include(error.message, `Missing key\n  at ["url"]`)
      assert.notInclude(error.message, "SERVICE_URI")
      assert.isFalse(error.isSecretMissing)
    }).pipe(inEnvironment({ SERVICE_TOKEN: "t" }))
  )
})

describe("a config that is refused", () => {
  it.effect("names the variable that a value came from, and no value", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(configOf(service.plugin()))
      assert.include(error.message, "url was taken from SERVICE_URI.")
      assert.include(error.message, "size was taken from TRACELET_SERVICE_SIZE.")
      assert.notInclude(error.message, "geheim")
    }).pipe(inEnvironment({ SERVICE_URI: "geheim", TRACELET_SERVICE_SIZE: "geheim" }))
  )

  it.effect("names the variables that can give what is missing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(configOf(service.plugin()))
      assert.include(
        error.message,
        "url may be given by SERVICE_URL or SERVICE_URI or TRACELET_BACKEND_URL or TRACELET_SERVICE_URL."
      )
    }).pipe(inEnvironment({}))
  )

  it.effect("says whether secrets are all that it lacks", () =>
    Effect.gen(function* () {
      const lacks = (input: unknown) =>
        Effect.map(Effect.flip(demanding.fromUnknown(input).recorded), ({ isSecretMissing }) => isSecretMissing)
      assert.isTrue(yield* lacks({}))
      assert.isFalse(yield* lacks({ size: "big" }))
      assert.isFalse(yield* lacks({ key: "" }))
      assert.isFalse(yield* inEnvironment({ SERVICE_KEY: "k" })(lacks({ size: "big" })))
    }).pipe(inEnvironment({}))
  )
})

it("A plugin lists its keys with what each is for, its default and its variables, none of it secret.", () => {
  const byName = new Map(service.config.keys.map((key) => [key.name, key]))
  assert.deepStrictEqual(byName.get("url"), {
    name: "url",
    description: "Where it is.",
    isSecret: false,
    isRequired: true,
    type: "text",
    variables: ["TRACELET_SERVICE_URL", "TRACELET_BACKEND_URL", "SERVICE_URI", "SERVICE_URL"]
  })
  assert.deepInclude(byName.get("token"), {
    isSecret: true,
    isRequired: false,
    variables: ["TRACELET_SERVICE_TOKEN", "TRACELET_API_KEY", "SERVICE_TOKEN"]
  })
  assert.deepInclude(byName.get("isLax"), {
    type: "boolean",
    default: false,
    variables: ["TRACELET_SERVICE_IS_LAX", "SERVICE_LAX"]
  })
  assert.deepInclude(byName.get("size"), { type: "number", variables: ["TRACELET_SERVICE_SIZE"] })
  assert.deepInclude(byName.get("timeout"), { unit: "seconds" })
})
