"""How a run ends when nobody says so: by an exception, by `sys.exit`, by SIGTERM, or by falling off the end.

Everything is chained to what was there before, and put back when the run is over. What was noted (an exception, an exit
code) counts only if nothing was recorded after it: then somebody had caught it, and training went on.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Callable, Optional, Union

if TYPE_CHECKING:
    from ._experiment import Experiment

# J5.6
ERROR_CHARACTERS_MAX = 4_096
_Handler = Union[Callable[[int, Optional[FrameType]], object], int, None]


class Outcome:
    """How a run ended: `finished`, `failed` or `killed`, with the exit code (None: not known) and an error text."""

    __slots__ = ("error", "exit_code", "status")

    def __init__(self, status: str, exit_code: int | None = None, error: str | None = None) -> None:
        self.status = status
        self.exit_code = exit_code
        self.error = error

    @classmethod
    def of_exception(cls, error: BaseException) -> Outcome:
        """Returns what an exception that nobody catches makes of a run."""
        if isinstance(error, SystemExit):
            return cls.of_exit(error.code)
        if isinstance(error, KeyboardInterrupt):
            return cls("killed", 128 + signal.SIGINT, "KeyboardInterrupt")
        return cls("failed", 1, _describe(error))

    @classmethod
    def of_exit(cls, code: object) -> Outcome:
        """Returns what `sys.exit(code)` makes of a run: a text is printed by the interpreter and means 1."""
        if code is None or code == 0:
            return cls("finished", 0)
        if isinstance(code, int):
            return cls("failed", code & 0xFF, f"exit code {code}")
        return cls("failed", 1, str(code)[:ERROR_CHARACTERS_MAX])


def _describe(error: BaseException) -> str:
    """Returns the traceback's end: what was raised stands last."""
    try:
        import traceback

        text = "".join(traceback.format_exception(type(error), error, error.__traceback__)).strip()
    except Exception:
        text = type(error).__name__  # An exception that cannot even be printed.
    return text[-ERROR_CHARACTERS_MAX:]


class ExitWatch:
    """Watches one experiment's process; `begin` installs the hooks, `end` puts back what was there."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._noted: Outcome | None = None
        self._noted_at = -1
        self.was_terminated = False
        self._hook_before: Callable[[type[BaseException], BaseException, TracebackType | None], object] = sys.excepthook
        self._exit_before: Callable[..., object] = sys.exit
        self._sigterm_before: _Handler = None
        self._has_sigterm = False
        # Bound once: a bound method is another object at every look.
        self._hook, self._exit, self._sigterm = self._on_exception, self._on_exit, self._on_sigterm

    def begin(self) -> None:
        """Installs the hooks. That for SIGTERM only from the main thread, and where the signal is not ignored."""
        self._hook_before, sys.excepthook = sys.excepthook, self._hook
        self._exit_before = sys.exit
        sys.exit = self._exit  # type: ignore[assignment]
        atexit.register(self._at_exit)
        _watch_forks(self)
        if threading.current_thread() is threading.main_thread():
            try:
                before = signal.getsignal(signal.SIGTERM)
                if before is not None and before is not signal.SIG_IGN:
                    signal.signal(signal.SIGTERM, self._sigterm)
                    self._sigterm_before, self._has_sigterm = before, True
            except (ValueError, OSError):
                pass  # A sub-interpreter, or an embedding program that keeps signals to itself.

    def end(self) -> None:
        """Puts back what was there, unless somebody has put something else in our place meanwhile."""
        if sys.excepthook is self._hook:
            sys.excepthook = self._hook_before
        if sys.exit is self._exit:
            sys.exit = self._exit_before  # type: ignore[assignment]
        atexit.unregister(self._at_exit)
        self.leave_sigterm()

    def leave_sigterm(self) -> None:
        """Puts back what SIGTERM did before. Also done in forked children: a pool that ends its workers by it waits for
        them, and a handler in Python may come too late for a worker that is about to block."""
        if self._has_sigterm and threading.current_thread() is threading.main_thread():
            self._has_sigterm = False
            try:
                if signal.getsignal(signal.SIGTERM) is self._sigterm:
                    signal.signal(signal.SIGTERM, self._sigterm_before)
            except (ValueError, OSError, TypeError):
                pass  # As in `begin`.

    def outcome(self) -> Outcome:
        """Returns how the run ends, as far as it can be told now."""
        if self.was_terminated:
            return Outcome("killed", 128 + signal.SIGTERM, "SIGTERM")
        if self._noted is not None and self._noted_at == self._experiment.position:
            return self._noted
        return Outcome("finished")

    def _note(self, outcome: Outcome) -> None:
        self._noted = outcome
        self._noted_at = self._experiment.position

    def _on_exception(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not hasattr(sys, "ps1"):  # At a prompt an exception ends a line, not the program.
            self._note(Outcome.of_exception(error))
        self._hook_before(kind, error, traceback)

    def _on_exit(self, status: object = None, /) -> None:
        """Stands in for `sys.exit`."""
        if threading.current_thread() is threading.main_thread():
            self._note(Outcome.of_exit(status))
        self._exit_before(status)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        is_first = not self.was_terminated
        self.was_terminated = True
        before = self._sigterm_before
        if callable(before):
            before(number, frame)
        elif is_first:
            self._experiment.when_free(self._die)
        else:
            self._die_now()

    def _die(self) -> None:
        """What the default of SIGTERM does, with the run ended before."""
        try:
            self._experiment.finish(self.outcome())
        finally:
            self._die_now()

    def _die_now(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    def _at_exit(self) -> None:
        self._experiment.finish(self.outcome())


_watched: weakref.WeakSet[ExitWatch] = weakref.WeakSet()
_is_watching = False


def _watch_forks(watch: ExitWatch) -> None:
    global _is_watching
    _watched.add(watch)
    if not _is_watching and hasattr(os, "register_at_fork"):
        _is_watching = True
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for watch in list(_watched):
        watch.leave_sigterm()
