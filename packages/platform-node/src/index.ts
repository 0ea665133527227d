export * as FileSystems from "./FileSystems.ts"
export * as Folder from "./Folder.ts"
export * as NodeJournalStorage from "./NodeJournalStorage.ts"
export * as NodePlatform from "./NodePlatform.ts"
