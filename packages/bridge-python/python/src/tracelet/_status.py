"""How a run ends when nobody says so: by an exception, by `sys.exit` or `exit`, by SIGTERM, or by falling off the end.

What cannot be seen from inside of the process is the code of a bare `raise SystemExit(3)`: the interpreter keeps it to
itself. `with` and `tracelet run` see it (docs/guides/stopping.md).

Everything is chained to what was there before, and put back when the run is over. What was noted (an exception, an exit
code) counts only if nothing was recorded after it: then somebody had caught it, and training went on.
"""

from __future__ import annotations

import atexit
import builtins
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Callable, Optional, Union

from . import _forks

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
        # The class of `exit` and `quit`, and what it did when called.
        self._quitter: type | None = None
        self._quit_before: Callable[..., object] = sys.exit
        self._last_before: BaseException | None = None
        self._is_dying = False
        self._sigterm_before: _Handler = None
        self._has_sigterm = False
        # Bound once: a bound method is another object at every look.
        self._quit: Callable[..., object] = sys.exit
        self._hook, self._exit, self._sigterm = self._on_exception, self._on_exit, self._on_sigterm

    def begin(self) -> None:
        """Installs the hooks. That for SIGTERM only from the main thread, and where the signal is not ignored."""
        self._hook_before, sys.excepthook = sys.excepthook, self._hook
        self._exit_before = sys.exit
        sys.exit = self._exit  # type: ignore[assignment]
        self._watch_quitter()
        self._last_before = getattr(sys, "last_value", None)
        atexit.register(self._at_exit)
        _forks.watch(self)
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
        if self._quitter is not None and vars(self._quitter).get("__call__") is self._quit:
            self._quitter.__call__ = self._quit_before  # type: ignore[method-assign]
        atexit.unregister(self._at_exit)
        self.forked()

    def _watch_quitter(self) -> None:
        """`exit(2)` and `quit(2)` raise SystemExit by themselves, not by way of `sys.exit`."""
        quitter = type(getattr(builtins, "exit", None))
        if quitter.__module__ != "_sitebuiltins":  # `python -S`, or a prompt of another make
            return
        self._quitter, before = quitter, vars(quitter)["__call__"]

        def quit(quitter: object, code: object = None) -> object:
            self._note_exit(code)
            return before(quitter, code)

        self._quit, self._quit_before = quit, before
        quitter.__call__ = quit  # type: ignore[method-assign]

    def forked(self) -> None:
        """Puts back what SIGTERM did before. In forked children too: a pool that ends its workers by it waits for them,
        and a handler in Python may come too late for a worker that is about to block."""
        if self._has_sigterm and threading.current_thread() is threading.main_thread():
            self._has_sigterm = False
            try:
                if signal.getsignal(signal.SIGTERM) is self._sigterm:
                    signal.signal(signal.SIGTERM, self._sigterm_before)
            except (ValueError, OSError, TypeError):
                pass  # As in `begin`.

    def outcome(self) -> Outcome:
        """Returns how the run ends, as far as it can be told now."""
        noted = self._noted if self._noted_at == self._experiment.position else None
        if self.was_terminated:
            code = noted.exit_code if noted is not None else None
            return Outcome("killed", 128 + signal.SIGTERM if code is None else code, "SIGTERM")
        return noted if noted is not None else Outcome("finished")

    def _last_outcome(self) -> Outcome:
        """Returns how the run ends when the interpreter does.

        An exception that nobody caught is in `sys.last_value` even when another hook than ours was told of it.
        """
        outcome = self.outcome()
        error = getattr(sys, "last_value", None)
        if outcome.status == "finished" and error is not self._last_before and isinstance(error, BaseException):
            frame = error.__traceback__.tb_frame if error.__traceback__ is not None else None
            # Printed by an extension module, say, it did not end the program: that begins in `__main__`.
            main = sys.modules.get("__main__")
            if frame is not None and frame.f_globals is getattr(main, "__dict__", None) and not hasattr(sys, "ps1"):
                return Outcome.of_exception(error)
        return outcome

    def _note(self, outcome: Outcome) -> None:
        self._noted = outcome
        self._noted_at = self._experiment.position

    def _on_exception(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not hasattr(sys, "ps1"):  # At a prompt an exception ends a line, not the program.
            self._note(Outcome.of_exception(error))
        self._hook_before(kind, error, traceback)

    def _on_exit(self, status: object = None, /) -> None:
        """Stands in for `sys.exit`."""
        self._note_exit(status)
        self._exit_before(status)

    def _note_exit(self, status: object) -> None:
        if threading.current_thread() is threading.main_thread():  # In another thread it ends that thread.
            self._note(Outcome.of_exit(status))

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        is_first = not self.was_terminated
        self.was_terminated = True
        before = self._sigterm_before
        self._experiment.hasten()
        if callable(before):
            before(number, frame)
        elif is_first:
            self._experiment.when_free(self._die)
        else:
            self._die_now()

    def _die(self) -> None:
        """What the default of SIGTERM does, with the run ended before."""
        if self._experiment.is_ending:
            self._is_dying = True  # This is in the middle of `finish`, which goes on, and then ends here.
            return
        try:
            self._experiment.finish(self.outcome())
        finally:
            self._die_now()

    def ended(self) -> None:
        """The run has ended, with its delivery: what SIGTERM asked for meanwhile is due."""
        self.end()
        if self._is_dying:
            self._die_now()

    def _die_now(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        if os.getpid() == 1:  # The kernel keeps the first process of a container from dying of its own signal.
            os._exit(128 + signal.SIGTERM)

    def _at_exit(self) -> None:
        self._experiment.finish(self._last_outcome())
