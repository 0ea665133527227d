"""What a writer cannot keep: counted exactly, said once for each time of trouble, and when that is over.

The disk is asked again once a second, however much is logged.
"""

from __future__ import annotations

import time

from ._refusals import Refusals, warn

# How often the disk is asked again after it had no room, in seconds.
RETRY_SECONDS = 1.0


class Losses:
    """The losses of one writer. Counts go to `refusals`, under `lost`."""

    __slots__ = ("_is_losing", "_problem", "_refusals", "_retry_at")

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        # When to look for room again, as time.monotonic tells it; what the matter was.
        self._retry_at = 0.0
        self._problem = ""
        self._is_losing = False

    @property
    def is_losing(self) -> bool:
        """Whether the journal could not be written when it was last tried."""
        return self._is_losing

    @property
    def is_time_to_retry(self) -> bool:
        """Whether the disk may be asked again."""
        return time.monotonic() >= self._retry_at

    def note(self, error: Exception, where: str) -> None:
        """Remembers why nothing can be written to `where`, and waits a while before the next try."""
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._is_losing = True
        self._problem = f"{getattr(error, 'strerror', None) or error}: {where}"

    def lose(self, count: int = 1) -> None:
        """Counts events that were not written, for the reason that was noted."""
        self._refusals.add("lost", self._problem, count)

    def lose_written(self, count: int, what: str) -> None:
        """Counts events that had been written and are gone."""
        self._refusals.add("lost", what, count)
        self._is_losing = True

    def recovered(self) -> None:
        """Says that it goes on, if it had stopped."""
        if self._is_losing:
            self._is_losing = False
            self._refusals.say_again("lost")
            warn("the journal can be written again; recording goes on")
