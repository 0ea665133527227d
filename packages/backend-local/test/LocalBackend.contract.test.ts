import * as LocalBackend from "@tracelet/backend-local/LocalBackend"
import { LocalReader, layerStore } from "@tracelet/backend-local/LocalReader"
import * as LocalStore from "@tracelet/backend-local/LocalStore"
import * as BackendContract from "@tracelet/testing/BackendContract"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

BackendContract.suite({
  name: "the local store",
  layer: Layer.mergeAll(LocalBackend.layerStore, layerStore).pipe(
    Layer.provide(Layer.fresh(LocalStore.layer({ file: ":memory:" })))
  ),
  readBack: (run) =>
    Effect.gen(function* () {
      const reader = yield* LocalReader
      const loss = (yield* reader.series(run)).find(({ name }) => name === "loss")
      return loss === undefined ? [] : [...(yield* reader.points(run, loss.id)).values]
    })
})
