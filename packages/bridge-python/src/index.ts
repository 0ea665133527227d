export * as AgentAddress from "./AgentAddress.ts"
export * as AgentApi from "./AgentApi.ts"
export * as AgentClient from "./AgentClient.ts"
