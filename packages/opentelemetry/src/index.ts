// Without `TelemetrySdk`: it needs packages that only those install who use it.
export * as OtlpBackend from "./OtlpBackend.ts"
export * as OtlpConfig from "./OtlpConfig.ts"
export * as OtlpMapping from "./OtlpMapping.ts"
export * as PrometheusPage from "./PrometheusPage.ts"
export * as Telemetry from "./Telemetry.ts"
