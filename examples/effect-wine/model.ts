/** Softmax regression: which of several growers a wine comes from, learnt from its measurements by gradient descent. */

export interface Wine {
  /** In units of standard deviations from the mean, and a 1 at the end, whose weight is the bias. */
  readonly measurements: ReadonlyArray<number>
  readonly grower: number
}

/** A row of weights for each grower. */
export type Weights = ReadonlyArray<ReadonlyArray<number>>

export const zero = (growers: number, inputs: number): Weights =>
  Array.from({ length: growers }, () => Array.from({ length: inputs }, () => 0))

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)

const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => sum(a.map((number, i) => number * (b[i] ?? 0)))

const zip = (a: Weights, b: Weights, combine: (x: number, y: number) => number): Weights =>
  a.map((row, k) => row.map((x, i) => combine(x, b[k]?.[i] ?? 0)))

/** The probability of each grower. */
export const predict = (weights: Weights, { measurements }: Wine): ReadonlyArray<number> => {
  const scores = weights.map((row) => dot(row, measurements))
  const greatest = Math.max(...scores)
  const powers = scores.map((score) => Math.exp(score - greatest))
  const total = sum(powers)
  return powers.map((power) => power / total)
}

const surprise = (weights: Weights, wine: Wine) => -Math.log(predict(weights, wine)[wine.grower] ?? 0)

/** The mean loss of the wines, and the share of them whose grower is named right. */
export const judge = (weights: Weights, wines: ReadonlyArray<Wine>) => {
  const isRight = (wine: Wine) => {
    const chances = predict(weights, wine)
    return chances.indexOf(Math.max(...chances)) === wine.grower
  }
  return {
    loss: sum(wines.map((wine) => surprise(weights, wine))) / wines.length,
    accuracy: wines.filter(isRight).length / wines.length
  }
}

/** The slope of the mean loss for each weight; `decay` pulls weights towards 0. */
const gradient = (weights: Weights, batch: ReadonlyArray<Wine>, decay: number): Weights =>
  batch.reduce(
    (slopes, wine) => {
      const errors = predict(weights, wine).map((chance, k) => (chance - Number(k === wine.grower)) / batch.length)
      return slopes.map((row, k) => row.map((slope, i) => slope + (errors[k] ?? 0) * (wine.measurements[i] ?? 0)))
    },
    weights.map((row) => row.map((weight) => weight * decay))
  )

export interface Hyperparameters {
  readonly rate: number
  readonly momentum: number
  readonly decay: number
}

export interface State {
  readonly weights: Weights
  readonly velocity: Weights
}

/** One step of gradient descent with momentum: the state after it, the loss before it and the length of the slope. */
export const descend = (state: State, batch: ReadonlyArray<Wine>, { decay, momentum, rate }: Hyperparameters) => {
  const slopes = gradient(state.weights, batch, decay)
  const velocity = zip(state.velocity, slopes, (v, slope) => momentum * v - rate * slope)
  return {
    state: { velocity, weights: zip(state.weights, velocity, (weight, v) => weight + v) },
    loss: sum(batch.map((wine) => surprise(state.weights, wine))) / batch.length,
    slope: Math.sqrt(sum(slopes.flat().map((slope) => slope * slope)))
  }
}
