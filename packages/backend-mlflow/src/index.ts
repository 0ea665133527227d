export * as MlflowConfig from "./MlflowConfig.ts"
export * as MlflowError from "./MlflowError.ts"
