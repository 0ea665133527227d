/**
 * All that tracelet needs of Node, as one layer: what an app or a command provides at its root.
 */
import type { JournalStorage } from "@tracelet/core/JournalStorage"
import type * as Layer from "effect/Layer"
import * as NodeJournalStorage from "./NodeJournalStorage.ts"

export const layer: Layer.Layer<JournalStorage> = NodeJournalStorage.layer
