/**
 * A mean over four ranks is killed at every position: whoever derives ends at each storage operation, and at each point of the input, and
 * another goes on. What arrives is what arrives without kills, each point once and in order. Kills are SIGKILLs and power cuts.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import * as DerivedJournal from "../../core/src/internal/derivedJournal.ts"
import { random } from "../../core/test/support/histories.ts"
import { ModelDisk } from "../../core/test/support/modelDisk.ts"
import * as Ranks from "./support/ranks.ts"

// `npm run histories` asks for 100,000, of which a hundredth is enough for the minutes these take.
const histories = Math.ceil(Number(process.env["HISTORIES"] ?? 2_000) / 100)
const firstSeed = Number(process.env["SEED"] ?? 1)
/** Histories at a time. */
const together = 40

interface Plan {
  readonly seed: number
  readonly steps: number
  /** After so many points of the input the one who derives is killed; each time another follows. */
  readonly killsAfter?: ReadonlySet<number>
  /** Each one's life, in operations; the last goes on for ever. */
  readonly lives?: ReadonlyArray<number>
  /** All is logged before anybody derives, and each life ends with a power cut. */
  readonly losesPower?: boolean
}

const endless = Number.POSITIVE_INFINITY

const history = Effect.fnUntraced(function* ({
  seed,
  steps,
  killsAfter = new Set(),
  lives = [],
  losesPower = false
}: Plan) {
  const actions = Ranks.script(random(seed), steps)
  const machine = new ModelDisk(random(seed + 1))
  const service = Ranks.makeService(random(seed + 2))
  const limits = [...lives]
  const job = yield* Ranks.startRanks(machine)
  const follow = Effect.suspend(() => {
    const life = machine.boot(limits.shift() ?? endless)
    return Effect.map(Ranks.startDelivery(life, service.backend), (delivery) => ({ ...delivery, life }))
  })
  const endsAt = (rank: number) => actions.findLastIndex((action) => action.rank === rank)
  const log = (i: number) =>
    Effect.gen(function* () {
      const action = actions[i]
      if (action === undefined) return
      yield* job.log(action)
      if (i === endsAt(action.rank)) yield* job.end(action.rank)
    })

  // One may have nothing to say at all.
  for (let rank = 0; rank < Ranks.ranks; rank++) if (endsAt(rank) < 0) yield* job.end(rank)
  if (losesPower) for (let i = 0; i < actions.length; i++) yield* log(i)
  let deriving = yield* follow
  let operations = 0
  const goOn = Effect.suspend(() => {
    operations += deriving.life.operations()
    if (losesPower) machine.crash()
    return Effect.map(follow, (next) => void (deriving = next))
  })
  const places = losesPower ? [] : Array.from({ length: actions.length + 1 }, (_, i) => i)
  for (const i of places) {
    if (killsAfter.has(i)) {
      // It has taken in what there was: the kill is at this position of the input.
      yield* Effect.sleep(4_000)
      deriving.life.kill()
    }
    if (deriving.life.isOff()) yield* goOn
    yield* log(i)
    yield* Effect.sleep(250)
  }
  for (let i = 0; i < 200 && !deriving.isDone(); i++) {
    if (deriving.life.isOff()) yield* goOn
    yield* Effect.sleep(500)
  }
  return {
    isDone: deriving.isDone(),
    derived: service.derived(),
    captured: service.captured().toSorted(),
    actions,
    operations: operations + deriving.life.operations()
  }
})

/** Runs them side by side, sharing each turn of the clock. */
const all = <A, E>(work: ReadonlyArray<Effect.Effect<A, E>>): Effect.Effect<ReadonlyArray<A>, E> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.all(work, { concurrency: together }))
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(250)
    return yield* Fiber.join(fiber)
  }).pipe(Effect.provide(Logger.layer([])))

const count = (derived: { readonly [writer: string]: ReadonlyArray<string> }) =>
  Object.values(derived).reduce((sum, said) => sum + said.length, 0)

type History = Effect.Success<ReturnType<typeof history>>

/** The writers have ids of their own in each history; those of the run are told apart by what they gave. */
const derivedOf = ({ derived }: History) => Object.values(derived).toSorted((a, b) => (a.join() < b.join() ? -1 : 1))

const isSame = (found: History, wanted: History, what: string) => {
  assert.isTrue(found.isDone, `${what}: everything is delivered`)
  assert.deepStrictEqual(derivedOf(found), derivedOf(wanted), what)
  assert.deepStrictEqual(found.captured, wanted.captured, what)
}

describe("a mean over four ranks", () => {
  it.effect("J13.1, J13.6: gives each step once all ranks have given it, and the rest with its count", () =>
    Effect.gen(function* () {
      const [found] = yield* all([history({ seed: 7, steps: 8 })])
      assert.isDefined(found)
      assert.isTrue(found.isDone)
      const means = found.derived[yield* meanWriter] ?? []
      const given = means.map((said) => Number(/"given":(\d)/.exec(said)?.[1] ?? Ranks.ranks))
      // Each value that was taken in is in exactly one of them.
      assert.strictEqual(
        given.reduce((a, b) => a + b, 0),
        found.actions.length
      )
      assert.isAbove(given.filter((n) => n === Ranks.ranks).length, 1)
      assert.isAbove(given.filter((n) => n < Ranks.ranks).length, 2)
      assert.isAbove(count(found.derived), means.length)
    })
  )

  it.effect(
    "J13.4, J13.5: is the same when whoever derives is killed at any of its storage operations",
    () =>
      Effect.gen(function* () {
        const plan = { seed: 7, steps: 5 }
        const [wanted] = yield* all([history(plan)])
        assert.isDefined(wanted)
        assert.isAbove(wanted.operations, 60)
        const places = Array.from({ length: wanted.operations }, (_, i) => i + 1)
        const found = yield* all(places.map((place) => history({ ...plan, lives: [place] })))
        for (const [i, one] of found.entries()) isSame(one, wanted, `killed at operation ${i + 1}`)
      }),
    { timeout: 300_000 }
  )

  it.effect(
    "J13.5: is the same when it is killed at any point of its input, and at all of them",
    () =>
      Effect.gen(function* () {
        const plan = { seed: 11, steps: 6 }
        const [wanted] = yield* all([history(plan)])
        assert.isDefined(wanted)
        const places = Array.from({ length: wanted.actions.length + 1 }, (_, i) => i)
        const found = yield* all([
          ...places.map((place) => history({ ...plan, killsAfter: new Set([place]) })),
          history({ ...plan, killsAfter: new Set(places) })
        ])
        for (const [i, one] of found.entries()) isSame(one, wanted, `killed after point ${i}`)
      }),
    { timeout: 300_000 }
  )

  it.effect(
    "J13.3, J13.4: is the same when the power fails at any of its storage operations, and again",
    () =>
      Effect.gen(function* () {
        const plan = { seed: 5, steps: 6, losesPower: true }
        const [wanted] = yield* all([history(plan)])
        assert.isDefined(wanted)
        const places = Array.from({ length: wanted.operations }, (_, i) => i + 1)
        const found = yield* all(places.map((place) => history({ ...plan, lives: [place, 1 + (place % 13)] })))
        for (const [i, one] of found.entries()) isSame(one, wanted, `power cut at operation ${i + 1}`)
      }),
    { timeout: 300_000 }
  )

  it.effect(
    `is the same over ${histories} generated histories with several kills each`,
    () =>
      Effect.gen(function* () {
        const seeds = Array.from({ length: histories }, (_, i) => firstSeed + i)
        const pairs = seeds.map((seed) => {
          const rng = random(seed ^ 0x2545f491)
          const steps = 3 + rng.below(8)
          const lives = Array.from({ length: 1 + rng.below(6) }, () => 1 + rng.below(40))
          const losesPower = rng.next() < 0.4
          return Effect.all([history({ seed, steps }), history({ seed, steps, lives, losesPower })])
        })
        for (const [i, [wanted, found]] of (yield* all(pairs)).entries()) {
          isSame(found, wanted, `SEED=${firstSeed + i} HISTORIES=1 repeats it`)
        }
      }),
    { timeout: 1_800_000 }
  )
})

/** The writer of the mean's journal: it has the same id in every run. */
const meanWriter = DerivedJournal.writerId(new ModelDisk(random(1)).boot(endless).storage, "reduce-mean", undefined)
