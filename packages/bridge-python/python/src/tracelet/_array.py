"""Arrays of any kind as plain Python: numpy's, tensors, nested lists. No framework is imported."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any

from ._values import to_float

# Most elements of an array that is taken: as bytes of an image, 256 MiB.
ELEMENTS_MAX = 1 << 28


class NotArray(ValueError):
    """Something is no array of numbers, or too large a one."""


def to_host(value: object) -> object:
    """Returns a tensor as a numpy array where there is numpy, else on the host; anything else as it is."""
    detach = getattr(value, "detach", None)
    if not callable(detach):
        return value
    tensor: Any = detach()
    for step in ("cpu", "resolve_conj", "resolve_neg"):
        move = getattr(tensor, step, None)
        tensor = move() if callable(move) else tensor
    if "bfloat16" in str(getattr(tensor, "dtype", "")):
        tensor = tensor.float()  # numpy has none
    try:
        array: object = tensor.numpy()
    except Exception:  # PyTorch without numpy, a sparse tensor
        return tensor.to_dense() if getattr(tensor, "is_sparse", False) else tensor
    return array


def shape_of(value: object) -> tuple[int, ...]:
    """Returns the lengths of an array's axes.

    Raises:
        NotArray: the rows of a nested list differ in length, or it has too many elements.
    """
    shape = getattr(value, "shape", None)
    axes = tuple(int(axis) for axis in shape) if shape is not None else _nested_shape(value)
    if math.prod(axes) > ELEMENTS_MAX:
        raise NotArray(f"an array of {math.prod(axes)} elements, and {ELEMENTS_MAX} are the most")
    return axes


def _nested_shape(value: object) -> tuple[int, ...]:
    axes: list[int] = []
    level: object = value
    while isinstance(level, (list, tuple)) and len(axes) < 8:
        axes.append(len(level))
        if not level:
            break
        level = level[0]
    return tuple(axes)


def flatten(value: object) -> list[float]:
    """Returns all elements as floats, in C order.

    Raises:
        NotArray: an element is no number.
    """
    shape_of(value)
    host = to_host(value)
    ravel = getattr(host, "ravel", None) or getattr(host, "flatten", None)
    to_list = getattr(ravel() if callable(ravel) else host, "tolist", None)
    found: list[float] = []
    _collect(to_list() if callable(to_list) else host, found)
    return found


def _collect(value: object, into: list[float]) -> None:
    if isinstance(value, (str, bytes)):
        raise NotArray("text is no array of numbers")
    if isinstance(value, Iterable) and getattr(value, "shape", None) != ():
        for each in value:
            if type(each) is float:
                into.append(each)
            else:
                _collect(each, into)
            if len(into) > ELEMENTS_MAX:
                raise NotArray(f"more than {ELEMENTS_MAX} elements")
        return
    number = to_float(value)
    if number is None:
        raise NotArray("an element is no number")
    into.append(number)


def to_bytes(value: object) -> tuple[bytes, tuple[int, ...]]:
    """Returns an array as bytes from 0 to 255 in C order, and its shape.

    Floats count from 0 to 1, booleans are 0 and 255, whole numbers as they are; what lies beyond is cut off, NaN is 0.

    Raises:
        NotArray: it is no array of numbers.
    """
    array = to_host(value)
    shape = shape_of(array)
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind and kind in "biuf":
        if kind == "f":
            array = numpy.nan_to_num(numpy.asarray(array, dtype="float32"), nan=0.0).clip(0, 1) * 255 + 0.5
        elif kind == "b":
            array = array.astype("uint8") * 255  # type: ignore[attr-defined]  # it has a dtype of numpy's
        elif str(array.dtype) != "uint8":  # type: ignore[attr-defined]
            array = array.clip(0, 255)  # type: ignore[attr-defined]
        return array.astype("uint8").tobytes(), shape  # type: ignore[attr-defined]
    dtype = str(getattr(array, "dtype", ""))
    if "bool" in dtype:
        scale = 255.0
    else:
        is_float = "float" in dtype if dtype else _is_float(array)
        scale = 255.0 if is_float else 1.0
    cut = (min(255.0, max(0.0, each * scale)) if each == each else 0.0 for each in flatten(array))
    return bytes(int(each + 0.5) for each in cut), shape


def _is_float(value: object) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (bool, float))
