export * as BackendContract from "./BackendContract.ts"
export * as Fault from "./Fault.ts"
export * as FaultServer from "./FaultServer.ts"
export * as Upstream from "./Upstream.ts"
