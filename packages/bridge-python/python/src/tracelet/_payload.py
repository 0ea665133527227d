"""JSON payloads: any Python value as JSON, names and contexts checked (docs/spec/journal.md J5.22 to J5.24)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Union

from ._format import STEP_MAX
from ._values import to_float

Json = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]

NAME_BYTES_MAX = 1_024
TAG_VALUE_BYTES_MAX = 65_536
CONTEXT_KEYS_MAX = 16
CONTEXT_BYTES_MAX = 4_096
# What is larger is kept as a text that describes it: a parameter is an input that people read.
ARRAY_ELEMENTS_MAX = 10_000
DEPTH_MAX = 64
# A text made by repr() of an object that JSON has no form for.
REPR_CHARACTERS_MAX = 4_096
# 2^100,000 has 30,103 digits, which take well under a millisecond to write out.
_INT_BITS_MAX = 100_000

# Types, by name since they are not imported here, whose str() says all there is.
_PRINTED_TYPES = frozenset(("Decimal", "Fraction", "UUID", "datetime", "date", "time", "timedelta", "dtype", "device"))

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
_encode_sorted = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


class NotJson(ValueError):
    """A value has no JSON form: it contains itself, or is nested more than 64 deep, or its digits are too many."""


def encode(value: Json) -> bytes:
    """Returns the JSON text of `value` as UTF-8. Lone surrogates inside texts are kept as `\\u` escapes."""
    try:
        return _encode(value).encode("utf-8")
    except UnicodeEncodeError:
        return _encode_ascii(value).encode("ascii")


def is_name(text: object) -> bool:
    """Tells whether `text` may name a series, a param, a tag, a text, a project or a run (J5.22)."""
    if not isinstance(text, str) or not text or len(text) > NAME_BYTES_MAX:
        return False
    try:
        return len(text.encode("utf-8")) <= NAME_BYTES_MAX
    except UnicodeEncodeError:
        return False


def plain_text(text: str) -> str:
    """Returns `text` as an exact `str`: a subclass (an enum, numpy's) may hash and print as something else."""
    return text if type(text) is str else str.__str__(text)


def encode_context(context: Mapping[str, object]) -> str | None:
    """Returns a context as JSON with sorted keys, or None when it does not fit J5.23.

    A whole float is written as a whole number: JSON does not tell them apart, so neither do series.
    """
    fields: dict[str, Json] = {}
    for key, value in context.items():
        if not isinstance(key, str):
            return None
        if isinstance(value, str):
            fields[plain_text(key)] = plain_text(value)
        elif isinstance(value, bool):
            fields[plain_text(key)] = value
        elif isinstance(value, int):
            fields[plain_text(key)] = _int(int(value))
        else:
            number = to_float(value)
            if number is None or not math.isfinite(number):
                return None
            fields[plain_text(key)] = int(number) if number.is_integer() and abs(number) <= STEP_MAX else number
    if len(fields) > CONTEXT_KEYS_MAX:
        return None
    try:
        text = _encode_sorted(fields)
        return text if len(text.encode("utf-8")) <= CONTEXT_BYTES_MAX else None
    except UnicodeEncodeError:
        return None


def to_json(value: object) -> Json:
    """Returns the JSON form of any value (J5.24).

    NaN and infinities are texts, whole numbers beyond ±(2^53 - 1) the text of their digits, keys texts. Numpy values
    and tensors of up to 10,000 elements are numbers and lists; enums their value, dataclasses and namespaces objects,
    paths and all else texts.

    Raises:
        NotJson: it contains itself, is nested deeper than 64, or has too many digits.
    """
    return _to_json(value, ())


def _to_json(value: object, within: tuple[int, ...]) -> Json:
    if value is None or isinstance(value, bool):
        return value
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]  # an exact str, as the line above says
    if kind is int:
        return _int(value)  # type: ignore[arg-type]
    if kind is float:
        return _float(value)  # type: ignore[arg-type]
    if id(value) in within or len(within) >= DEPTH_MAX:
        raise NotJson("it contains itself, or is nested deeper than 64")
    return _object(value, (*within, id(value)))


def _object(value: object, within: tuple[int, ...]) -> Json:
    if isinstance(value, Mapping):
        return {_key(key): _to_json(item, within) for key, item in value.items()}
    as_dict = getattr(value, "_asdict", None)
    if isinstance(value, tuple) and callable(as_dict):
        return _to_json(as_dict(), within)
    if isinstance(value, (list, tuple)):
        return [_to_json(item, within) for item in value]
    if isinstance(value, (set, frozenset)):
        return [_to_json(item, within) for item in sorted(value, key=repr)]
    if isinstance(value, range):
        return _to_json(list(value), within) if len(value) <= ARRAY_ELEMENTS_MAX else repr(value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(type(value), "__members__"):
        # An enum: what it stands for, when that is a plain value.
        inner = getattr(value, "value", None)
        return _to_json(inner, within) if isinstance(inner, (str, int, float)) else str(getattr(value, "name", value))
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _int(int(value))
    if isinstance(value, float):
        return _float(float(value))
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return {name: _to_json(getattr(value, name, None), within) for name in fields}
    return _array_or_text(value, within)


def _array_or_text(value: object, within: tuple[int, ...]) -> Json:
    shape = getattr(value, "shape", None)
    to_list = getattr(value, "tolist", None)
    if shape is not None and callable(to_list):
        elements = math.prod(int(n) for n in shape)
        if elements <= ARRAY_ELEMENTS_MAX:
            inner = to_list()
            return _to_json(inner, within) if type(inner) is not type(value) else _number_or_text(value)
        return f"{type(value).__name__}(shape={[int(n) for n in shape]}, dtype={getattr(value, 'dtype', '?')})"
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if type(value).__name__ in ("Namespace", "SimpleNamespace"):
        return _to_json(vars(value), within)
    if type(value).__name__ in _PRINTED_TYPES:
        return str(value)
    return _text(value)


def _number_or_text(value: object) -> Json:
    number = to_float(value)
    return _float(number) if number is not None else _text(value)


def _text(value: object) -> str:
    return repr(value)[:REPR_CHARACTERS_MAX]


def _key(key: object) -> str:
    if isinstance(key, str):
        return plain_text(key)
    if isinstance(key, (bool, int, float)) or key is None:
        return str(key)
    inner = getattr(key, "value", None) if hasattr(type(key), "__members__") else None
    return inner if type(inner) is str else str(key)


def _int(value: int) -> Json:
    if -STEP_MAX <= value <= STEP_MAX:
        return value
    if value.bit_length() > _INT_BITS_MAX:
        raise NotJson("a whole number of more than 30,000 digits")
    sign, rest = ("-", -value) if value < 0 else ("", value)
    # In parts: since Python 3.11 str() refuses numbers of more than 4,300 digits.
    parts: list[str] = []
    while rest:
        rest, part = divmod(rest, 10**4000)
        parts.append(str(part).rjust(4000, "0") if rest else str(part))
    return sign + "".join(reversed(parts))


def _float(value: float) -> Json:
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
