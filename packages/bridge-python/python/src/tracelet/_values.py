"""Turns whatever a caller passes as value, step or time into the number that is stored, or into None: refused.

No framework is imported: tensors and numpy scalars are known by what they can do (`item`, `__float__`).
"""

from __future__ import annotations

from math import isinf

from ._format import STEP_MAX
from ._refusals import Refusals, describe


def to_float(value: object) -> float | None:
    """Returns `value` as the float64 to store, or None when it is not one number.

    Numbers of every kind, booleans (1.0, 0.0), numpy scalars, and tensors and arrays of one element are numbers. A
    whole number beyond 2^53 becomes the nearest float64; one beyond the range of a float64 is refused, as are texts.
    NaN and the infinities are values.
    """
    if type(value) is float:
        return value
    try:
        return _to_float(value)
    except Exception:
        return None  # item() of many elements, a meta tensor, a signalling NaN, an object that fails at will


def _to_float(value: object) -> float | None:
    if isinstance(value, (int, float)):  # booleans too; OverflowError beyond the range of a float64
        return float(value)
    if value is None or isinstance(value, (str, bytes, bytearray, complex)):
        return None
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, type):
        if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m"):
            return None  # numpy dates and durations give whole numbers of some unit: not values
        if _is_masked(value):
            return None
        inner = item()
        if inner is None or isinstance(inner, (str, bytes, complex)):
            return None
        # numpy.longdouble and the small floats of ml_dtypes give themselves back
        return to_float(inner) if type(inner) is not type(value) else _checked(inner)
    return _checked(value)


def _is_masked(value: object) -> bool:
    """True for a masked element of numpy: its `item()` would give what lies under the mask."""
    mask = getattr(value, "mask", None)
    return mask is not None and not callable(mask) and bool(mask)


def _checked(value: object) -> float | None:
    """Converts by `__float__` or `__index__`; refuses a finite number that would turn into an infinity."""
    if isinstance(value, type) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        return None
    number = float(value)  # type: ignore[arg-type]  # hasattr has just made sure
    if isinf(number) and value != number:
        return None
    return number


def to_seconds(value: object) -> float | None:
    """Returns `value` as a number of seconds, or None when it is none: a text, NaN."""
    number = to_float(value)
    return None if number is None or number != number else number


def to_step(step: object) -> int | None:
    """Returns `step` as a whole number within ±(2^53 - 1), or None when it is none."""
    if type(step) is not int:
        number = _to_int(step)
        if number is None:
            return None
        step = number
    return step if -STEP_MAX <= step <= STEP_MAX else None


def one_step(iteration: object, step: object, refusals: Refusals) -> object:
    """Returns the step that was given under one of its two names; a second one is passed over and counted."""
    if iteration is None:
        return step
    if step is not None and step is not iteration and not _is_same(iteration, step):
        refusals.add("argument", f"step={describe(step)} beside iteration={describe(iteration)}")
    return iteration


def _is_same(one: object, other: object) -> bool:
    number = to_step(one)
    return number is not None and number == to_step(other)


def _to_int(value: object) -> int | None:
    try:
        if isinstance(value, int):
            return int(value)
        if value is None or isinstance(value, (str, bytes, bytearray, complex, type)):
            return None
        item = getattr(value, "item", None)
        if callable(item):
            if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m") or _is_masked(value):
                return None
            inner = item()
            if isinstance(inner, int):
                return int(inner)
            value = inner
        if isinstance(value, float):
            return int(value) if value.is_integer() else None
        index = getattr(value, "__index__", None)
        return int(index()) if index is not None else None
    except Exception:
        return None  # a tensor of many elements, a meta tensor, an object that fails at will
