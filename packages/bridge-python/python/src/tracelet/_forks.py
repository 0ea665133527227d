"""Tells what lives on in a forked child that it is in one now.

There is no way to take an `os.register_at_fork` back: one registration serves all, and holds them weakly.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from ._refusals import warn


class Forkable(Protocol):
    """What wants to know of forks."""

    def forked(self) -> None:
        """Called in the child, in the thread that forked, before anything else runs there."""


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_is_registered = False


def watch(subject: Forkable) -> None:
    """Calls `subject.forked()` in every child that is forked from now on, for as long as somebody holds `subject`."""
    global _is_registered
    _watched.add(subject)
    if not _is_registered and hasattr(os, "register_at_fork"):
        _is_registered = True
        os.register_at_fork(after_in_child=_in_child)


def unwatch(subject: Forkable) -> None:
    """Forgets a subject."""
    _watched.discard(subject)


def _in_child() -> None:
    for subject in list(_watched):
        try:
            subject.forked()
        except Exception as error:
            warn(f"a forked process records nothing: {error}")
