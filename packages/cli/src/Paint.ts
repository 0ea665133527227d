/**
 * Colour, where the terminal has it and nobody asked for none (`NO_COLOR`, https://no-color.org). Without colour each of these is the
 * text itself, so nothing may be said by colour alone.
 */

export type Brush = (text: string) => string

export interface Paint {
  readonly bold: Brush
  readonly dim: Brush
  readonly red: Brush
  readonly green: Brush
  readonly yellow: Brush
  readonly blue: Brush
  readonly magenta: Brush
  readonly cyan: Brush
}

const brush =
  (isOn: boolean, open: number, close: number): Brush =>
  (text) =>
    isOn && text !== "" ? `\u001b[${open}m${text}\u001b[${close}m` : text

export const make = (isOn: boolean): Paint => ({
  bold: brush(isOn, 1, 22),
  dim: brush(isOn, 2, 22),
  red: brush(isOn, 31, 39),
  green: brush(isOn, 32, 39),
  yellow: brush(isOn, 33, 39),
  blue: brush(isOn, 34, 39),
  magenta: brush(isOn, 35, 39),
  cyan: brush(isOn, 36, 39)
})
