/** Placeholder until the first module is here. */
export const isPlaceholder = true
