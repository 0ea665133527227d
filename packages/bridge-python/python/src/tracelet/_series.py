"""The series of one stream: each has a number, and a record that gives it (docs/spec/journal.md J5.3, J5.20)."""

from __future__ import annotations

from typing import Union

from ._payload import encode, is_name, plain_text
from ._refusals import Refusals, describe


class InContext(tuple[str, str]):
    """Key of a series with a context of its own: its name, and the context as JSON with sorted keys."""

    __slots__ = ()


# A series with the writer's context is known by its name alone.
SeriesKey = Union[str, InContext]

_NO_STEP = -(1 << 63)


class Series:
    """A series of this stream: its number, the JSON of its record, and the greatest step it has seen."""

    __slots__ = ("greatest", "number", "payload")

    def __init__(self, number: int, payload: bytes) -> None:
        self.number = number
        self.payload = payload
        self.greatest = _NO_STEP

    def next_step(self) -> int:
        """Returns one more than the greatest step so far, from 0 (J5.20)."""
        return 0 if self.greatest == _NO_STEP else self.greatest + 1


def meet(known: dict[SeriesKey, Series], key: SeriesKey, context: str, refusals: Refusals) -> Series | None:
    """Gives a new series its number and puts it into `known`; None when its name is refused.

    `context` is the JSON of the context that a series has unless its key brings one.
    """
    name, context = key if isinstance(key, InContext) else (key, context)
    if not is_name(name):
        refusals.add("name", describe(name))
        return None
    if isinstance(key, str) and type(key) is not str:
        # A subclass, which may hash as something else: an enum with texts, say.
        key = plain_text(key)
        if key in known:
            return known[key]
    number = len(known)
    payload = b'{"series":%d,"name":%s,"context":%s}' % (number, encode(plain_text(name)), context.encode("utf-8"))
    known[key] = Series(number, payload)
    return known[key]
