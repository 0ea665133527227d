export * as MlflowConfig from "./MlflowConfig.ts"
