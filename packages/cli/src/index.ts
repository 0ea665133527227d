export * as Distribution from "./Distribution.ts"
export * as Output from "./Output.ts"
