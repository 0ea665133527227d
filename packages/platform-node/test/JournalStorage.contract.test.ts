import * as JournalStorage from "@tracelet/core/JournalStorage"
import * as NodePlatform from "@tracelet/platform-node/NodePlatform"
import * as Effect from "effect/Effect"
import { suite } from "./storageContract.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

suite("NodePlatform.layer", NodePlatform.layer, temporaryFolder)
suite("JournalStorage.layerMemory", JournalStorage.layerMemory, Effect.succeed("memory"))
