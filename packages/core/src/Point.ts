/**
 * A point is step + value + time of one series. Points never travel one by one: see `RunEvent.PointBatch`.
 */

/** Steps are whole numbers within ±`stepMax`: what float64 holds exactly (J5.20). */
export const stepMax = Number.MAX_SAFE_INTEGER

/** Most points in one record of columns (J5.2). */
export const columnsMax = 2_048

export const isStep = (step: unknown): step is number => Number.isSafeInteger(step)
