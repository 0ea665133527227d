"""One record of a writer at a time: the lock that serves all threads, and what comes in the middle of a record.

The lock's own thread can enter it again, which happens when a signal handler logs while `log` is at work: the busy flag
then sends the record to a queue, which the outer call writes.
"""

from __future__ import annotations

import sys
import threading
from types import CodeType, FrameType
from typing import Callable, ClassVar, NoReturn

from ._refusals import Refusals


class Turns:
    """Takes turns: what is given to `_run` is run under the lock with the busy flag set."""

    __slots__ = (
        "__weakref__",
        "_acquire",
        "_busy",
        "_closed",
        "_is_torn",
        "_limit",
        "_lock",
        "_queue",
        "_refusals",
        "_release",
        "_was_inside",
    )

    # The functions that set the busy flag.
    _recording: ClassVar[tuple[CodeType, ...]]

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._closed = False
        self._lock = threading.RLock()
        # Perhaps a record was left half-way: the next one looks, and mends it. It looks where the limit sends it.
        self._is_torn = False
        self._limit = -1
        # In a forked child whose thread forked in the middle of a record: that record is the parent's, and what fails
        # of it here is nobody's business. Until the child's own stream begins.
        self._was_inside = False
        self._take_turns()

    def _take_turns(self) -> None:
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._busy = False
        self._queue: list[Callable[[], None]] = []

    @property
    def is_closed(self) -> bool:
        """Whether the stream has ended."""
        return self._closed

    def when_free(self, action: Callable[[], None]) -> None:
        """Runs `action` now or, in a signal handler that interrupted a record, right after that record."""
        with self._lock:
            if self._busy and self._is_inside(sys._getframe(1)):
                self._queue.append(lambda: self._outside(action))
                return
        action()

    def _run(self, action: Callable[[], None]) -> None:
        if self._closed:
            self._refuse_closed()
            return
        with self._lock:
            if self._busy and self._is_inside(sys._getframe(1)):
                self._queue.append(action)
                return
            self._busy = True
            try:
                action()
            except BaseException as error:
                self._is_torn = True
                self._limit = -1
                if not (self._was_inside and isinstance(error, Exception)):
                    raise
            finally:
                self._busy = False
                if self._queue:
                    self._drain()

    def _drain(self) -> None:
        while self._queue:
            self._run(self._queue.pop(0))

    def _outside(self, action: Callable[[], None]) -> None:
        """Runs a queued action with the busy flag down, since it may record and close."""
        self._busy = False
        action()

    def _is_inside(self, frame: FrameType | None) -> bool:
        """Whether `frame`, or one that called it, is in the middle of a record of this writer.

        If none is, the busy flag is left over: before Python 3.11 an exception may come between any two instructions,
        and so between the end of a record and the line that takes the flag down.
        """
        while frame is not None:
            if frame.f_code in self._recording and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        self._is_torn = True
        self._limit = -1
        return False

    def _refuse_closed(self) -> None:
        try:
            self._refusals.add("inactive")
        except Exception:
            pass  # The interpreter is going down, and has taken this module's names away.

    def _end_turns(self) -> None:
        """Nobody waits for the lock of a stream that has ended: a daemon thread that the end of the interpreter stops
        inside of it never gives it back."""
        self._closed = True
        self._acquire = _no_lock  # type: ignore[assignment]
        self._limit = -1

    def _free_lock(self) -> bool:
        """In a forked child: who is inside of the lock gives it back, unless it is held by a thread that is not in this
        process. Returns whether this thread is inside."""
        is_inside: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition asks it
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()
        return is_inside


def _no_lock() -> NoReturn:
    """What the lock of a stream that has ended is acquired by. The error is a built-in one, since the names of modules
    are gone when the last `__del__` logs."""
    raise ReferenceError
