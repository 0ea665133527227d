export * as Reduce from "./Reduce.ts"
export * as Summarise from "./Summarise.ts"
export * as Throttle from "./Throttle.ts"
