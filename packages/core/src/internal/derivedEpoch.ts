/**
 * Which host writes a run's derived journals where locks of other hosts cannot be seen (journal.md J13.9): those of the writers' own boot, until
 * another has taken them over. It is one host for the run, while each backend's cursor has an epoch of its own (`authority`).
 *
 * A host that was stopped in the middle of a commit may finish it after another has taken over. So a commit is shown to nobody before the
 * epoch was looked at once more behind it: then whoever takes over later finds it on the disk. One that comes too late is void, since
 * whoever took over has begun a segment at its position (J13.10).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { StorageError } from "../JournalStorage.ts"
import type { RunJournal } from "../RunJournal.ts"
import { decodeText, encodeText } from "./bytes.ts"
import type { Found } from "./derivedJournal.ts"

const Owner = Schema.Struct({ epoch: Schema.Int, at: Schema.Finite, host: Schema.String, boot: Schema.String })
interface Owner extends Schema.Schema.Type<typeof Owner> {}

const OwnerFile = Schema.fromJsonString(Owner)
const decodeOwner = Schema.decodeUnknownResult(OwnerFile)
const encodeOwner = Schema.encodeSync(OwnerFile)

const filePattern = /^epoch\.([1-9][0-9]{0,8})\.json$/
const fileName = (epoch: number): string => `epoch.${epoch}.json`

/** `epoch` is the greatest that somebody has begun; `owner` who wrote the greatest that can be read. */
interface TakenOver {
  readonly epoch: number
  readonly owner: Owner | undefined
}

const folderOf = ({ folder, storage }: RunJournal): string => storage.join(folder, "derived")

const epochs = (run: RunJournal): Effect.Effect<ReadonlyArray<number>, StorageError> =>
  Effect.map(run.storage.list(folderOf(run)), (names) =>
    names
      .map((name) => Number(filePattern.exec(name)?.[1] ?? 0))
      .filter((epoch) => epoch > 0)
      .toSorted((a, b) => b - a)
  )

const look = (run: RunJournal): Effect.Effect<TakenOver, StorageError> =>
  Effect.gen(function* () {
    const { storage } = run
    const begun = yield* epochs(run)
    for (const epoch of begun) {
      const bytes = yield* storage.read(storage.join(folderOf(run), fileName(epoch)))
      // Whoever was cut off here has written nothing yet: the one before says who does.
      const owner = bytes === undefined ? undefined : Result.getOrUndefined(decodeOwner(decodeText(bytes)))
      if (owner !== undefined) return { epoch: begun[0] ?? 0, owner }
    }
    return { epoch: begun[0] ?? 0, owner: undefined }
  })

/** False when somebody else has begun that epoch. When it has returned it survives a power cut. */
const begin = (run: RunJournal, owner: Owner): Effect.Effect<boolean, StorageError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage } = run
      const folder = folderOf(run)
      yield* storage.makeFolder(folder)
      const file = yield* storage.openAppend(storage.join(folder, fileName(owner.epoch)))
      yield* file.append([encodeText(encodeOwner(owner))])
      yield* file.sync
      yield* storage.syncFolder(folder)
      return true
    })
  ).pipe(Effect.catch((error) => (error.code === "EEXIST" ? Effect.succeed(false) : Effect.fail(error))))

/** The derived journals of a run as one host may use them. */
export interface DerivedEpoch {
  /** False from the moment on that another host has taken them over. To be asked before each commit, and behind it before it is shown. */
  readonly isOurs: Effect.Effect<boolean, StorageError>
  /** Who writes them, for people. */
  readonly owner: Effect.Effect<string, StorageError>
  /** Whether what was found counts for good: else whoever takes over at this moment may not have seen all of it. Asked behind the look. */
  readonly isSettled: (found: Iterable<Found>) => Effect.Effect<boolean, StorageError>
  /** Whether another host may still finish a commit in this journal, so that a segment of ours has to begin behind what was found. */
  readonly isToBeSealed: (found: Found) => boolean
}

/** Where locks decide, who holds `delivery.lock` writes, and nothing has to be asked. */
const byLock: DerivedEpoch = {
  isOurs: Effect.succeed(true),
  owner: Effect.succeed(""),
  isSettled: () => Effect.succeed(true),
  isToBeSealed: () => false
}

/** Looks whether this host writes them, and takes them over when it does not and `takeOver` says so. */
export const claim = (run: RunJournal, takeOver: boolean): Effect.Effect<DerivedEpoch, StorageError> =>
  Effect.gen(function* () {
    if (yield* run.locksDecide) return byLock
    const { boot, name: host } = run.host
    const isHere = (by: { readonly host: string; readonly boot: string } | undefined): boolean =>
      by !== undefined && by.host === host && by.boot === boot
    let own: number | undefined
    let isDecided = false
    // Whose it is, its writers say: of a run that has none yet any host would pass for their own.
    const one = Semaphore.makeUnsafe(1)
    const decide = Effect.gen(function* () {
      if (isDecided) return
      const before = yield* look(run)
      const writers = yield* run.writers
      if (before.owner === undefined && writers.length === 0) return
      const isOwn =
        before.owner === undefined ? writers.every(({ identity }) => identity.boot === boot) : isHere(before.owner)
      if (isOwn) {
        own = before.owner?.epoch ?? 0
      } else if (takeOver) {
        const epoch = before.epoch + 1
        const at = (yield* Clock.currentTimeMillis) / 1000
        if (yield* begin(run, { epoch, at, host, boot })) own = epoch
      }
      isDecided = true
    }).pipe((effect) => one.withPermit(effect))
    const lookAgain = (epoch: number): void => {
      if (own !== undefined && epoch > own) own = undefined
    }
    yield* decide
    return {
      isOurs: Effect.gen(function* () {
        yield* decide
        if (own === undefined) return false
        const [epoch = 0] = yield* epochs(run)
        lookAgain(epoch)
        return own !== undefined
      }),
      owner: Effect.gen(function* () {
        const { epoch, owner } = yield* look(run)
        if (owner !== undefined) return `${owner.host} (epoch ${epoch})`
        const other = (yield* run.writers).find(({ identity }) => identity.boot !== boot)
        return other?.identity.host ?? "another host"
      }),
      isSettled: (found) =>
        Effect.map(look(run), ({ epoch, owner }) => {
          // This host may have been stopped since it last asked: then what it finds may be what it wrote too late itself.
          lookAgain(epoch)
          if (own !== undefined || owner === undefined) return true
          return [...found].every(({ by }) => by !== undefined && by.host === owner.host && by.boot === owner.boot)
        }),
      isToBeSealed: ({ by }) => own !== undefined && own > 0 && !isHere(by)
    }
  })
