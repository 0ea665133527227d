/**
 * The one question all fault tests ask: is every acknowledged event delivered, kept or in the dead letter, each once, in order and
 * unaltered? Nothing else may be there either.
 */

/** An event as it was logged, in the order logged: equal texts are equal events. */
export type Said = string

export interface Account {
  /** All that was logged, in order, of one writer. */
  readonly logged: ReadonlyArray<Said>
  /** How many of them, from the first on, a flush or a durable log had acknowledged. */
  readonly acknowledged: number
  /** What the backend has, in the order it came, after it dropped what it knew by its identity. */
  readonly delivered: ReadonlyArray<Said>
  /** What is in the dead letter. */
  readonly dead: ReadonlyArray<Said>
  /** What the journal still holds behind the mark. */
  readonly kept: ReadonlyArray<Said>
}

/** What is wrong, in words; empty when nothing is. Events are told apart by their text, so every text has to be logged once. */
export const findings = ({ logged, acknowledged, delivered, dead, kept }: Account): ReadonlyArray<string> => {
  const order = new Map(logged.map((said, i) => [said, i]))
  const found: Array<string> = []
  const seen = new Map<Said, number>()
  for (const said of [...delivered, ...dead, ...kept]) {
    if (!order.has(said)) found.push(`invented or altered: ${said}`)
    seen.set(said, (seen.get(said) ?? 0) + 1)
  }
  for (const [said, times] of seen) if (times > 1) found.push(`${times} times: ${said}`)
  for (const said of logged.slice(0, acknowledged)) if (!seen.has(said)) found.push(`lost: ${said}`)
  for (const list of [delivered, kept]) {
    for (const [i, said] of list.entries()) {
      const before = list[i - 1]
      if (before !== undefined && (order.get(before) ?? 0) > (order.get(said) ?? 0)) found.push(`out of order: ${said}`)
    }
  }
  return found
}
