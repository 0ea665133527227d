export * as Telemetry from "./Telemetry.ts"
export * as TelemetrySdk from "./TelemetrySdk.ts"
